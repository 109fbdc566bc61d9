import { Command, InvalidArgumentError } from 'commander';
import type { ShownFlags } from '../operator/api/flags.ts';
import { callProxy, parsed, type Environment, type ProxyAddress } from './operator-client.ts';
import type { PushSettings } from './push-flags.ts';
import { personOptions, type PersonOptions, proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { flagsSection } from '../operator/views/flags.ts';
import { noticeSections } from '../operator/views/flips.ts';
import { sectionsText, sectionText } from '../operator/views/terminal.ts';

const HELP = `
The server and its token come from rollout.unleash in the configuration (url, adminToken, project, environment), or from the
environment variables UNLEASH_URL, UNLEASH_ADMIN_TOKEN, UNLEASH_PROJECT and UNLEASH_ENVIRONMENT.
push fails (exit code 1) if any flag could not be created.`;

const EXIT_CODES = `
Exit codes: 0 success, 1 error (reason on stderr).`;

/** `crossfade flags`: lists flags, changes flags that are stored in files, creates flags in Unleash. */
export function createFlagsCommand(env: Environment): Command {
  const flags = new Command('flags')
    .description('List flags, change flags stored in files, create flags in Unleash')
    .addHelpText('afterAll', EXIT_CODES)
    .addCommand(createFlagListCommand(env))
    .addCommand(createFlagSetCommand(env));
  flags
    .command('push')
    .description(
      'Create the missing flags of the configured services in Unleash, with shares at 0 % and switches off. A flag that has a strategy stays as it is',
    )
    .option('--config <file>', 'settings file of the proxy', './config/crossfade.yaml')
    .option('--dry-run', 'only print what would be created')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText('after', HELP)
    // Loaded on use, because help and completion do not need the settings.
    .action(async (settings: PushSettings) => (await import('./push-flags.ts')).push(settings, env));
  return flags;
}

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
    .argument('<percent>', 'a whole number from 0 to 100; on or off for a switch', parseWish)
    .description('Change a flag that is stored in files; change flags of Unleash in Unleash');
  return personOptions(command, env).action(set);
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listFlags', {});
  if (json === true) return console.log(text);
  console.log(sectionsText([flagsSection(parsed(text))]));
}

async function set(
  flag: string,
  wished: Wish,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const { flags } = parsed(await callProxy(at, 'listFlags', {}));
  const known = flags.find(({ name }) => name === flag);
  if (known === undefined) throw new Error(unknownFlag(flag, flags));
  const share = shareOf(wished, known);
  const body = { share, was: known.asked, person, reason };
  const text = await callProxy(at, 'setFlag', { params: { flag }, body });
  if (json === true) return console.log(text);
  if (share > 0 && known.asked === 0) await printNotices(known, at);
  const { file, seen } = parsed(text);
  const read = seen ? 'the proxy has read it' : 'the proxy has not read it yet';
  console.log(`${flag} requests ${share} % (before: ${known.asked} %), stored in ${file}; ${read}`);
}

/** Before the first writes of a service move. */
async function printNotices({ flag, service }: ShownFlags['flags'][number], at: ProxyAddress): Promise<void> {
  if (flag !== 'write-cutover' || service === null) return;
  const flips = parsed(await callProxy(at, 'showFlips', { params: { service } }));
  console.log(`${noticeSections(flips).map(sectionText).join('\n\n')}\n`);
}

/** A name without its beginning gets the names to type. */
function unknownFlag(flag: string, flags: ShownFlags['flags']): string {
  const meant = flags.filter(({ name }) => name.endsWith(`.${flag}`)).map(({ name }) => name);
  const use = meant.length === 0 ? 'crossfade flags list shows all flags' : `use ${meant.join(' or ')}`;
  return `unknown flag "${flag}": ${use}`;
}

/** @throws Error if the flag is of the other kind */
function shareOf({ text, share, isWord }: Wish, { name, kind }: ShownFlags['flags'][number]): number {
  if (kind === 'share' && isWord)
    throw new Error(`${name} is a share: type a whole number from 0 to 100 instead of "${text}"`);
  if (kind === 'switch' && share !== 0 && share !== 100)
    throw new Error(`${name} is a switch: type on or off instead of "${text}"`);
  return share;
}

/** What a person typed as the share of a flag. */
interface Wish {
  readonly text: string;
  readonly share: number;
  /** `on` or `off`, which only a switch can be. */
  readonly isWord: boolean;
}

const WORDS: ReadonlyMap<string, number> = new Map([
  ['on', 100],
  ['true', 100],
  ['off', 0],
  ['false', 0],
]);

function parseWish(text: string): Wish {
  const word = WORDS.get(text.toLowerCase());
  if (word !== undefined) return { text, share: word, isWord: true };
  const share = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(share) || share < 0 || share > 100)
    throw new InvalidArgumentError(
      `must be a whole number from 0 to 100, or on or off for a switch, got "${text}"`,
    );
  return { text, share, isWord: false };
}
