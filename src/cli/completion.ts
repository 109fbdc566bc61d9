import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** `crossfade completion <shell>`: prints a script that completes the commands and options of `program`. They must all be there. */
export function addCompletion(program: Command): void {
  tab(program, { completionCommandName: 'completion' });
  program.commands
    .find((command) => command.name() === 'completion')
    ?.description('Print a completion script for a shell')
    .addHelpText(
      'after',
      `
The shell must know "crossfade": npm link in the project's folder where node is 24 or newer, else
  crossfade() { npm --prefix FOLDER run -s crossfade -- "$@"; }
Then, once:
  bash   crossfade completion bash > ~/.local/share/bash-completion/completions/crossfade
  zsh    crossfade completion zsh > "\${fpath[1]}/_crossfade"
  fish   crossfade completion fish > ~/.config/fish/completions/crossfade.fish`,
    );
}
