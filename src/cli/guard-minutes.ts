import { Command, InvalidArgumentError } from 'commander';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

interface MinutesOptions extends ProxyOptions {
  readonly hours: number;
}

/** `crossfade guard minutes`: the guard's counts, in the form that `guard backtest` reads. */
export function createMinutesCommand(env: Environment): Command {
  const command = new Command('minutes')
    .description('Print the counts of each minute, one JSON object per line, as input for guard backtest')
    .option('--hours <n>', 'how many hours back', parseHours, 24);
  return proxyOptions(command, env, 'no effect: the output is always one JSON object per line').action(
    async ({ hours, json: _json, ...at }: MinutesOptions) => {
      process.stdout.write(await askProxy(at, `/v1/guard/minutes?hours=${hours}`));
    },
  );
}

function parseHours(text: string): number {
  const hours = Number(text);
  if (text.trim() === '' || !(hours > 0))
    throw new InvalidArgumentError(`must be a number above 0, got "${text}"`);
  return hours;
}
