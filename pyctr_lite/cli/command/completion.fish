# pyctr_lite: completion for fish.
function __pyctr_lite_complete
    set -l words (commandline -opc) (commandline -ct)
    for candidate in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
        if test "$candidate" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $candidate
        end
    end
end
complete -c pyctr_lite -f -a '(__pyctr_lite_complete)'
complete -c pyctr -f -a '(__pyctr_lite_complete)'
