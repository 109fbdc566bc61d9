import { Command, InvalidArgumentError, Option } from 'commander';
import type { ShownRun } from '../operator/api/runs.ts';
import {
  callPatiently,
  callProxy,
  parsed,
  tokenOption,
  urlOption,
  type Asked,
  type Environment,
  type ProxyAddress,
} from './operator-client.ts';
import { responsibleFor } from './proxy-options.ts';
import { isLeftOut, isOfNobody, watchRun } from './run-watch.ts';
import { showBackfill, showSurvey } from './run-tables.ts';

interface BackfillOptions extends ProxyAddress {
  readonly service?: string;
  readonly owner?: string;
  readonly dryRun?: true;
  readonly resume?: true;
  readonly detach?: true;
  readonly rate?: number;
  readonly person?: string;
  readonly reason?: string;
  readonly json?: true;
}

/** Exit code when lanes were left out, or a service whose store cannot be read. The printed document gives the reasons. */
const LEFT = 2;

/** `crossfade backfill`: copies all lanes of legacy, and prints what was imported. */
export function createBackfillCommand(env: Environment): Command {
  return new Command('backfill')
    .description('Copy every lane from legacy to the orchestrator while agents keep working')
    .option('--service <name>', 'only this service (default: all)')
    .option('--owner <owner>', 'only the lane of this session or user')
    .option('--dry-run', 'read all lanes and print what would be copied; writes nothing')
    .addOption(
      new Option(
        '--resume',
        'continue the last stopped backfill with its original options, or watch the running one',
      ).conflicts(['service', 'owner', 'rate', 'dryRun']),
    )
    .option('--rate <n>', 'maximum items per second for all replicas together (default: no limit)', parseRate)
    .option('--reason <text>', 'why, for the audit log (default: "started on the command line")')
    .option(
      '--person <name>',
      'who is responsible (default: the name of the token, or the user of this machine)',
    )
    .option('--detach', 'start the backfill and return at once; crossfade runs show prints its result')
    .option('--json', 'progress as JSON lines, then the result as one JSON object')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .addHelpText(
      'after',
      `
The proxies share the work, and continue it after a crash. Ctrl-C stops it. --resume continues it.
Example: crossfade backfill --service session-memory --rate 500 --reason "before the shadow reads"
Exit codes: 0 every lane was copied; 1 error (reason on stderr); 2 lanes or services were left out, or the owner is unknown;
130 stopped by Ctrl-C.`,
    )
    .action(backfill);
}

async function backfill(options: BackfillOptions): Promise<void> {
  const { url, token, service, owner, rate } = options;
  const at = { url, ...(token !== undefined && { token }) };
  const wish = { kind: 'backfill' as const, service, owner, rate };
  if (options.dryRun === true) return rehearse(options, at, wish);
  const endpoint = options.resume === true ? 'resumeRun' : 'beginRun';
  const by = responsibleFor(options);
  const { run } = parsed(await callProxy(at, endpoint, { body: { ...wish, ...by } }));
  if (options.detach === true) {
    console.log(options.json === true ? JSON.stringify({ run }) : `run ${run}: crossfade runs show ${run}`);
    return;
  }
  const view = await watchRun(run, { at, person: by.person, json: options.json === true });
  tell(view, options.json === true);
}

type Wish = Asked<'rehearseRun'>['body'] & object;

async function rehearse({ owner, json }: BackfillOptions, at: ProxyAddress, body: Wish): Promise<void> {
  const { survey } = parsed(await callPatiently(at, 'rehearseRun', { body }));
  console.log(json === true ? JSON.stringify({ dry_run: true, survey }) : showSurvey(survey));
  if (isLeftOut({ survey }) || isOfNobody({ survey }, owner)) process.exitCode = LEFT;
}

function tell(view: ShownRun, isJson: boolean): void {
  const { run, state, reason, survey, report } = view;
  console.log(isJson ? JSON.stringify({ run, state, reason, survey, ...report }) : showBackfill(view));
  if (state === 'failed') process.exitCode = 1;
  const left = Object.values(view.services).some((counts) => Number(counts['lanes_left'] ?? 0) > 0);
  if (state !== 'finished') return;
  if (left || isLeftOut(view) || isOfNobody(view, view.request.owner)) process.exitCode = LEFT;
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!Number.isSafeInteger(rate) || rate < 1)
    throw new InvalidArgumentError(`must be a whole number of items per second, at least 1, got "${text}"`);
  return rate;
}
