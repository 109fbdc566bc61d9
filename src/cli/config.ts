import { Command } from 'commander';
import type { Environment } from '../config.ts';

const HELP = `
Checks every setting, the flag files (unless a flag server is configured) and the definition of every service, exactly as a start
does, but starts nothing. Each problem names the setting, its value, the allowed values and the line. Secrets are not shown.
Exit codes: 0 no problems, 1 problems (listed on stdout).`;

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
      const problems = await (await import('./config-check.ts')).checkConfig(file, env);
      if (json === true) console.log(JSON.stringify({ file, usable: problems.length === 0, problems }));
      else console.log(told(file, problems));
      if (problems.length > 0) process.exitCode = 1;
    });
  return config;
}

interface ShownProblem {
  readonly line: number | null;
  readonly message: string;
}

function told(file: string, problems: readonly ShownProblem[]): string {
  if (problems.length === 0) return `${file}: no problems`;
  const lines = problems.map(({ line, message }) => `${file}${line === null ? '' : `:${line}`}: ${message}`);
  return [...lines, `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`].join('\n');
}
