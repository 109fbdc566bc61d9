import completions from '@bomb.sh/tab';
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { BASH_COMPLETION } from './bash-completion.ts';

/** `crossfade completion <shell>`: prints a script that completes the commands and options of `program`. Add all commands before. */
export function addCompletion(program: Command): void {
  tab(program, { completionCommandName: 'completion' });
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
