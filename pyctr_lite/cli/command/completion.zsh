#compdef pyctr_lite pyctr
# pyctr_lite: completion for zsh.
_pyctr_lite() {
    local -a found open
    local candidate files=0
    for candidate in ${(f)"$(${words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        case $candidate in
            :files) files=1 ;;
            *[:=]) open+=("$candidate") ;;
            *) found+=("$candidate") ;;
        esac
    done
    compadd -a found
    compadd -S '' -a open
    if (( files )); then _files; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _pyctr_lite "$@"
else
    compdef _pyctr_lite pyctr_lite pyctr
fi
