import { Command, InvalidArgumentError } from 'commander';
import type { ShownFlags } from '../operator/routes/flag-routes.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

/** `crossfade flags list`: what every flag requests, as the proxy has read it. */
export function createFlagListCommand(env: Environment): Command {
  return proxyOptions(
    new Command('list').description('List what each flag requests, and where the flags are stored'),
    env,
  ).action(list);
}

/** `crossfade flags set`: changes a flag that is stored in files, as the desk does. */
export function createFlagSetCommand(env: Environment): Command {
  const command = new Command('set')
    .argument('<flag>', 'flag name, as in crossfade flags list')
    .argument('<percent>', 'a whole number from 0 to 100; 0 or 100 for a switch', parsePercent)
    .description('Change a flag that is stored in files; change flags of Unleash in Unleash');
  return personOptions(command, env).action(set);
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await askProxy(at, '/v1/flags');
  if (json === true) return console.log(text);
  const { source, fresh, editable, server, flags } = JSON.parse(text) as ShownFlags;
  const where = editable ? 'changed with crossfade flags set' : `changed in ${server ?? 'the flag server'}`;
  console.log(`${source}${fresh ? '' : ' (STALE: the last known flags are in effect)'}, ${where}`);
  console.log(
    table(
      ['flag', 'requested'],
      flags.map(({ name, kind, asked }) => [name, asksFor(kind, asked)]),
    ),
  );
}

async function set(
  flag: string,
  share: number,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const { flags } = JSON.parse(await askProxy(at, '/v1/flags')) as ShownFlags;
  const known = flags.find(({ name }) => name === flag);
  if (known === undefined) throw new Error(`unknown flag "${flag}": crossfade flags list shows all flags`);
  const wish = { share, was: known.asked, person, reason };
  const text = await askProxy(at, `/v1/flags/${encodeURIComponent(flag)}`, wish);
  if (json === true) return console.log(text);
  const { file, seen } = JSON.parse(text) as { readonly file: string; readonly seen: boolean };
  const read = seen ? 'the proxy has read it' : 'the proxy has not read it yet';
  console.log(`${flag} requests ${share} % (before: ${known.asked} %), stored in ${file}; ${read}`);
}

function asksFor(kind: 'share' | 'switch', asked: number): string {
  if (kind === 'share') return `${asked} %`;
  return asked > 0 ? 'on' : 'off';
}

function parsePercent(text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(share) || share < 0 || share > 100)
    throw new InvalidArgumentError(`must be a whole number from 0 to 100, got "${text}"`);
  return share;
}
