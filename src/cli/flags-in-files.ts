import { Command, InvalidArgumentError } from 'commander';
import type { ShownFlags } from '../operator/routes/flag-routes.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

/** `crossfade flags list`: what every flag asks for, as the proxy has read it. */
export function createFlagListCommand(env: Environment): Command {
  return proxyOptions(
    new Command('list').description('What each flag asks for, and where it is kept'),
    env,
  ).action(list);
}

/** `crossfade flags set`: where flags are files, as the desk does it. */
export function createFlagSetCommand(env: Environment): Command {
  const command = new Command('set')
    .argument('<flag>', 'as the list names it')
    .argument('<percent>', 'a whole number from 0 to 100; of a switch 0 or 100', parsePercent)
    .description('Change what a flag asks for, where flags are files; Unleash has its own ways');
  return personOptions(command, env).action(set);
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await askProxy(at, '/v1/flags');
  if (json === true) return console.log(text);
  const { source, fresh, editable, server, flags } = JSON.parse(text) as ShownFlags;
  const where = editable ? 'changed by crossfade flags set' : `changed at ${server ?? 'their server'}`;
  console.log(`${source}${fresh ? '' : ' (STALE: what was last known is in effect)'}, ${where}`);
  console.log(
    table(
      ['flag', 'asks for'],
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
  if (known === undefined) throw new Error(`no flag is called "${flag}": crossfade flags list shows them`);
  const wish = { share, was: known.asked, person, reason };
  const text = await askProxy(at, `/v1/flags/${encodeURIComponent(flag)}`, wish);
  if (json === true) return console.log(text);
  const { file, seen } = JSON.parse(text) as { readonly file: string; readonly seen: boolean };
  const read = seen ? 'the proxy has read it' : 'the proxy has not read it yet';
  console.log(`${flag} asks for ${share} % instead of ${known.asked} %, in ${file}; ${read}`);
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
