import { Command, InvalidArgumentError } from 'commander';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

interface MinutesOptions extends ProxyOptions {
  readonly hours: number;
}

/** `crossfade guard minutes`: what the guard counted, as `guard backtest` reads it. */
export function createMinutesCommand(env: Environment): Command {
  const command = new Command('minutes')
    .description('What was counted in each minute, one JSON object a line: what backtest replays')
    .option('--hours <n>', 'of the last so many hours', parseHours, 24);
  return proxyOptions(command, env, 'as it is always: one JSON object a line').action(
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
