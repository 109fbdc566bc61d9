/**
 * Completion for bash only. The library's own script needs the package bash-completion, which small systems lack. It also evaluates
 * the typed text, including a `$(…)`. `complete` prints one suggestion per line, followed by a tab and its description. Its last line
 * is a colon and a number, whose bit 4 means: do not complete file names.
 */
export const BASH_COMPLETION = `# bash completion for crossfade
_crossfade() {
  local word=\${COMP_WORDS[COMP_CWORD]} line said
  COMPREPLY=()
  said=$(crossfade complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return 0
  while IFS= read -r line; do
    if [[ $line =~ ^:([0-9]+)$ ]]; then
      if (( BASH_REMATCH[1] & 4 )); then compopt +o default 2>/dev/null; fi
    else
      line=\${line%%$'\\t'*}
      if [[ -n $line && $line == "$word"* ]]; then COMPREPLY+=("$line"); fi
    fi
  done <<< "$said"
}
complete -o default -F _crossfade crossfade
`;
