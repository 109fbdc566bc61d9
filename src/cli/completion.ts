import completions from '@bomb.sh/tab';
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/**
 * `crossfade completion <shell>`: prints a script that completes the commands and options of `program`. Add all commands before.
 * The library's own command for suggestions is named `complete`, like one of ours. Only one of them can be in the program.
 */
export function addCompletion(program: Command, isSuggesting: boolean): void {
  const ours = without(program, SUGGESTING);
  tab(program, { completionCommandName: 'completion' });
  if (ours !== undefined && isSuggesting) suggest(ours);
  else if (ours !== undefined) {
    without(program, SUGGESTING);
    program.addCommand(ours);
  }
  program.commands
    .find((command) => command.name() === 'completion')
    ?.description('Print a completion script for a shell')
    .action((shell: string) => {
      if (shell === 'bash') process.stdout.write(BASH_COMPLETION);
      else completions.setup(program.name(), program.name(), shell);
    })
    .addHelpText(
      'after',
      `
The shell must find "crossfade". With Node 24 or newer, run npm link in the project's folder. Otherwise define
  crossfade() { npm --prefix FOLDER run -s crossfade -- "$@"; }
Then, once:
  bash   crossfade completion bash > ~/.local/share/bash-completion/completions/crossfade
  zsh    crossfade completion zsh > "\${fpath[1]}/_crossfade"
  fish   crossfade completion fish > ~/.config/fish/completions/crossfade.fish
For the current bash session only: source <(crossfade completion bash)
Exit codes: 0 success; 1 unknown shell.`,
    );
}

const SUGGESTING = 'complete';

/** Takes a command out of the program, and returns it. */
function without(program: Command, name: string): Command | undefined {
  const commands = program.commands as Command[];
  const index = commands.findIndex((command) => command.name() === name);
  return index < 0 ? undefined : commands.splice(index, 1)[0];
}

/** Tells the library about a command that is not in the program. */
function suggest(command: Command): void {
  const listed = completions.command(command.name(), command.description());
  for (const { long, description, required, optional } of command.options) {
    const name = long?.slice(2);
    if (name === undefined) continue;
    if (required || optional) listed.option(name, description, () => undefined);
    else listed.option(name, description);
  }
}

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
