import { Command } from 'commander';
import type { Environment } from '../config/config.ts';
import { counted } from '../operator/views/figures.ts';

const HELP = `
Checks every setting, the flag files (unless a flag server is configured) and the definition of every service, exactly as a start
does, but starts nothing. Each problem names the setting, its value, the allowed values and the line. Secrets are not shown.
Warnings: a flag in the files that Crossfade does not know, a service without flags, and a service whose lanes cannot be copied.
Exit codes: 0 no problems, with or without warnings; 1 problems (listed on stdout).`;

/** `crossfade config`: checks settings without starting anything. */
export function createConfigCommand(env: Environment): Command {
  const config = new Command('config')
    .description('Check the settings of the proxy')
    .addHelpText('after', HELP);
  config
    .command('check')
    .argument('<file>', 'settings file of the proxy, such as config/production.example.yaml')
    .description('List every problem of a settings file, its flag files and its definitions')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    // Loaded on use, because help and completion do not need the settings.
    .action(async (file: string, { json }: { readonly json?: true }) => {
      const { checkConfig, checkForWarnings } = await import('./config-check.ts');
      const problems = await checkConfig(file, env);
      const warnings = await checkForWarnings(file, env);
      const usable = problems.length === 0;
      console.log(
        json === true ? JSON.stringify({ file, usable, problems, warnings }) : told(file, problems, warnings),
      );
      if (problems.length > 0) process.exitCode = 1;
    });
  return config;
}

interface ShownProblem {
  readonly line: number | null;
  readonly message: string;
}

function told(file: string, problems: readonly ShownProblem[], warnings: readonly ShownProblem[]): string {
  const at = ({ line }: ShownProblem): string => `${file}${line === null ? '' : `:${line}`}`;
  const sum = problems.length === 0 ? `${file}: no problems` : counted(problems.length, 'problem');
  return [
    ...problems.map((problem) => `${at(problem)}: ${problem.message}`),
    ...warnings.map((warning) => `${at(warning)}: warning: ${warning.message}`),
    warnings.length === 0 ? sum : `${sum}, ${counted(warnings.length, 'warning')}`,
  ].join('\n');
}
