# pyctr_lite: completion for bash. Words are split at blanks only, because names contain colons.
_pyctr_lite() {
    local line=${COMP_LINE:0:COMP_POINT} candidate current prefix
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]} - 1]}
    prefix=${current%"${current##*[:=]}"} # readline completes only the text after this
    COMPREPLY=()
    while IFS= read -r candidate; do
        if [[ $candidate == :files ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r candidate; do
                COMPREPLY+=("${candidate#"$prefix"}")
            done < <(compgen -f -- "$current")
        else
            [[ $candidate == *[:=] ]] && compopt -o nospace 2>/dev/null
            COMPREPLY+=("${candidate#"$prefix"}")
        fi
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _pyctr_lite pyctr_lite pyctr
