import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import { backtest, type BacktestTrip } from '../engine/guard/backtest.ts';
import { ADDED_BOUNDS_MS } from '../engine/guard/guard-counts.ts';
import { GUARD_LIMITS, type GuardLimits } from '../engine/guard/triggers.ts';
import type { MinuteRow } from '../engine/guard/guard-ports.ts';
import { parseMinute } from '../operator/printed-minutes.ts';
import { readAskedFile, writeAskedFile } from './asked-file.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import {
  personOptions,
  type PersonOptions,
  proxyOptions,
  type ProxyOptions,
  SERVICE_ARGUMENT,
} from './proxy-options.ts';
import { counted } from '../operator/views/figures.ts';
import { bundlesTable, guardSection, releasedWords } from '../operator/views/guard.ts';
import { sectionText, tableText } from '../operator/views/terminal.ts';

interface BacktestOptions extends Pick<
  GuardLimits,
  'mismatchRate' | 'errorRate' | 'leastHits' | 'z' | 'addedMs' | 'slowMinutes' | 'leastOperations'
> {
  readonly from: string;
  readonly json?: true;
}

interface StatusOptions extends ProxyOptions {
  readonly service?: string;
}

interface ReleaseOptions extends PersonOptions {
  readonly evenSo?: true;
}

const EXIT_CODES = `
Exit codes: 0 success, 1 error (reason on stderr).`;

const BACKTEST_EXAMPLE = `
Example: would the guard have tripped in the last week with half the mismatch rate?
  crossfade guard minutes --hours 168 > minutes.ndjson
  crossfade guard backtest --from minutes.ndjson --mismatch-rate 0.0005`;

/** `crossfade guard`: shows what the guard blocks and why, releases its latch, and replays other limits. */
export function createGuardCommand(env: Environment): Command {
  const guard = new Command('guard')
    .description('Show and release the latches of the guard, and replay its limits')
    .addHelpText('afterAll', EXIT_CODES);
  proxyOptions(
    guard
      .command('status')
      .description('Show what keeps reads on legacy, and how close each trigger is to a trip')
      .option('--service <name>', 'only this service (default: all)'),
    env,
  ).action(status);
  personOptions(
    guard
      .command('release')
      .argument(...SERVICE_ARGUMENT)
      .description(
        'Release the latch after a trip. Refused during the cool-down, and while a trigger is active',
      )
      .option('--even-so', 'release although a trigger is still active; the guard may trip again at once'),
    env,
  ).action(release);
  personOptions(
    guard
      .command('accept')
      .argument(...SERVICE_ARGUMENT)
      .argument(
        '<subject>',
        'action:<name> for one action; unclassified for all actions that the definition does not name',
      )
      .description(
        'Accept an action without evidence, or all unclassified actions, so that they do not keep reads on legacy',
      ),
    env,
  ).action(accept);
  return guard
    .addCommand(createBundlesCommand(env))
    .addCommand(createBundleCommand(env))
    .addCommand(createMinutesCommand(env))
    .addCommand(createBacktestCommand());
}

async function status({ service, json, ...at }: StatusOptions): Promise<void> {
  const text = await callProxy(at, 'showGuard', {});
  if (json === true && service === undefined) return console.log(text);
  const { services } = parsed(text);
  const chosen = Object.entries(services).filter(([name]) => service === undefined || name === service);
  if (chosen.length === 0)
    throw new Error(`unknown service "${service ?? ''}": use ${Object.keys(services).join(', ')}`);
  if (json === true) return console.log(JSON.stringify({ services: Object.fromEntries(chosen) }));
  console.log(chosen.map(([name, watched]) => sectionText(guardSection(name, watched))).join('\n\n'));
}

async function release(
  service: string,
  { person, reason, json, evenSo, ...at }: ReleaseOptions,
): Promise<void> {
  const body = { service, person, reason, ...(evenSo === true && { even_so: true }) };
  const text = await callProxy(at, 'releaseLatch', { body });
  if (json === true) return console.log(text);
  console.log(releasedWords(service, parsed(text)).join('\n'));
}

async function accept(
  service: string,
  subject: string,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const text = await callProxy(at, 'acceptSubject', {
    body: { service, subject, person, reason },
  });
  console.log(json === true ? text : `${subject} of ${service} is accepted`);
}

function createBacktestCommand(): Command {
  const number = (name: keyof GuardLimits): [typeof parseLimit, number] => [parseLimit, GUARD_LIMITS[name]];
  return new Command('backtest')
    .description('Replay stored minutes with other limits, and list when the guard would have tripped')
    .addHelpText('after', BACKTEST_EXAMPLE)
    .requiredOption('--from <file>', 'file with the output of crossfade guard minutes (required)')
    .option(
      '--mismatch-rate <rate>',
      'limit: mismatches per comparison; 0.001 is 0.1 %',
      ...number('mismatchRate'),
    )
    .option('--error-rate <rate>', 'limit: failures per operation; 0.01 is 1 %', ...number('errorRate'))
    .option('--least-hits <n>', 'minimum number of mismatches or failures for a trip', ...number('leastHits'))
    .option('--z <deviations>', "standard deviations of Wilson's lower bound", ...number('z'))
    .option(
      '--added-ms <ms>',
      `limit: milliseconds added to the p95, one of ${ADDED_BOUNDS_MS.join(', ')}`,
      parseBound,
      GUARD_LIMITS.addedMs,
    )
    .option(
      '--slow-minutes <n>',
      `number of slow minutes, among the last ${GUARD_LIMITS.ofMinutes}, for a trip`,
      ...number('slowMinutes'),
    )
    .option(
      '--least-operations <n>',
      'minimum number of operations for a minute to count',
      ...number('leastOperations'),
    )
    .option('--json', 'one JSON object instead of lines')
    .action((options: BacktestOptions) => {
      const { from, json, ...proposed } = options;
      const rows = parseMinutes(
        readAskedFile({ option: '--from', path: from }, 'create it with: crossfade guard minutes > FILE'),
        from,
      );
      const trips = backtest(rows, { ...GUARD_LIMITS, ...proposed });
      console.log(json === true ? JSON.stringify(summaryOf(rows, trips)) : told(rows, trips));
    });
}

function parseLimit(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError(`must be a number, got "${text}"`);
  return value;
}

/** Stored minutes count the operations that were slower than these bounds, and no values between them. */
function parseBound(text: string): number {
  const value = parseLimit(text);
  if (!ADDED_BOUNDS_MS.some((bound) => bound === value))
    throw new InvalidArgumentError(`must be one of ${ADDED_BOUNDS_MS.join(', ')}, got "${text}"`);
  return value;
}

/** @throws Error with the number of the invalid line */
function parseMinutes(text: string, file: string): MinuteRow[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const row = parseMinute(line);
    if (row === undefined) throw new Error(`${file}:${index + 1}: not a line of \`crossfade guard minutes\``);
    return [row];
  });
}

function summaryOf(rows: readonly MinuteRow[], trips: readonly BacktestTrip[]): object {
  return {
    minutes: new Set(rows.map(({ minuteMs }) => minuteMs)).size,
    comparisons: rows.reduce((sum, { counts }) => sum + counts.comparable, 0),
    trips: trips.map(({ atMs, finding }) => ({ at: new Date(atMs).toISOString(), ...finding })),
  };
}

function told(rows: readonly MinuteRow[], trips: readonly BacktestTrip[]): string {
  const minutes = new Set(rows.map(({ minuteMs }) => minuteMs)).size;
  const lines = trips.map(({ atMs, finding: { service, trigger, action, detail, numbers } }) =>
    [
      new Date(atMs).toISOString(),
      service,
      trigger,
      action ?? '',
      detail ?? '',
      JSON.stringify(numbers),
    ].join('  '),
  );
  return [...lines, `${counted(trips.length, 'trip')} in ${counted(minutes, 'minute')}`].join('\n');
}

/** `crossfade guard bundles`: lists the trips that stored a bundle. */
export function createBundlesCommand(env: Environment): Command {
  const command = new Command('bundles').description(
    'List trips with their bundles: the data stored at the moment of each trip',
  );
  return proxyOptions(command, env).action(list);
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listBundles', {});
  if (json === true) return console.log(text);
  console.log(tableText(bundlesTable(parsed(text).bundles)));
}

/** `crossfade guard bundle`: prints or saves one bundle. */
export function createBundleCommand(env: Environment): Command {
  const command = new Command('bundle')
    .argument('<number>', 'number of the bundle, as in crossfade guard bundles')
    .description('Show the bundle of a trip: signatures, minutes, flags, settings without secrets, versions')
    .option('--out <file>', 'write the bundle to this file, as JSON');
  return proxyOptions(command, env).action(
    async (bundle: string, { json, out, ...at }: ProxyOptions & { readonly out?: string }) => {
      const text = await callProxy(at, 'showBundle', { params: { bundle } });
      if (out !== undefined) {
        writeAskedFile({ option: '--out', path: out }, text);
        return console.log(`bundle ${bundle} written to ${out}`);
      }
      console.log(json === true ? text : stringify(JSON.parse(text)));
    },
  );
}

interface MinutesOptions extends ProxyOptions {
  readonly hours: number;
}

/** `crossfade guard minutes`: the guard's counts, in the form that `guard backtest` reads. */
export function createMinutesCommand(env: Environment): Command {
  const command = new Command('minutes')
    .description(
      'Print the counts of each minute as one JSON object per line. crossfade guard backtest reads them',
    )
    .option('--hours <n>', 'hours to print, up to now; at most 9999', parseHours, 24);
  return proxyOptions(command, env, 'no effect: the output is always one JSON object per line').action(
    async ({ hours, json: _json, ...at }: MinutesOptions) => {
      process.stdout.write(await callProxy(at, 'listMinutes', { query: { hours: String(hours) } }));
    },
  );
}

function parseHours(text: string): number {
  const hours = Number(text);
  if (text.trim() === '' || !(hours > 0))
    throw new InvalidArgumentError(`must be a number above 0, got "${text}"`);
  return hours;
}
