import { Command, InvalidArgumentError, Option } from 'commander';
import { showSurvey } from './import-document.ts';
import {
  askPatiently,
  askProxy,
  tokenOption,
  urlOption,
  type Environment,
  type ProxyAddress,
} from './operator-client.ts';
import { responsibleFor } from './proxy-options.ts';
import { isLeftOut, isOfNobody, watchRun, type RunView } from './run-watch.ts';
import { showBackfill } from './run-tables.ts';

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

/** Lanes, or a service whose store cannot be read, were left out: the document says which and why. */
const LEFT = 2;

/** `crossfade backfill`: copies all lanes that legacy holds, and says at the end what was imported. */
export function createBackfillCommand(env: Environment): Command {
  return new Command('backfill')
    .description('Copy every lane that legacy holds to the orchestrator, beside the agents')
    .option('--service <name>', 'only this service (default: all)')
    .option('--owner <owner>', 'only the lane of this session or user')
    .option('--dry-run', 'look at everything and say what would be copied; nothing is written')
    .addOption(
      new Option(
        '--resume',
        'take up the last backfill that was stopped, as it was asked for, or watch the one under way',
      ).conflicts(['service', 'owner', 'rate', 'dryRun']),
    )
    .option('--rate <n>', 'items a second, all replicas together', parseRate)
    .option('--reason <text>', 'why; it is audited')
    .option(
      '--person <name>',
      'who answers for it (default: what the token says, or the user of this machine)',
    )
    .option('--detach', 'begin it and do not wait')
    .option('--json', 'JSON lines while it runs, and the document as one JSON object')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .addHelpText(
      'after',
      `
Runs inside the proxies, shared among them; it goes on after a crash. Ctrl-C stops it, --resume takes it up again.
Exit codes: 0 everything is copied; 1 it could not be begun, or failed; 2 lanes or services were left out, or the owner is not known; 130 stopped by Ctrl-C.`,
    )
    .action(backfill);
}

async function backfill(options: BackfillOptions): Promise<void> {
  const { url, token, service, owner, rate } = options;
  const at = { url, ...(token !== undefined && { token }) };
  const wish = { kind: 'backfill', service, owner, rate };
  if (options.dryRun === true) return rehearse(options, at, wish);
  const path = options.resume === true ? '/v1/runs/resume' : '/v1/runs';
  const by = responsibleFor(options);
  const begun = await askProxy(at, path, { ...wish, ...by });
  const { run } = JSON.parse(begun) as RunView;
  if (options.detach === true) {
    console.log(options.json === true ? JSON.stringify({ run }) : `run ${run}: crossfade runs show ${run}`);
    return;
  }
  const view = await watchRun(run, { at, person: by.person, json: options.json === true });
  tell(view, options.json === true);
}

async function rehearse({ owner, json }: BackfillOptions, at: ProxyAddress, wish: object): Promise<void> {
  const { survey } = JSON.parse(await askPatiently(at, '/v1/runs/rehearse', wish)) as Pick<RunView, 'survey'>;
  console.log(json === true ? JSON.stringify({ dry_run: true, survey }) : showSurvey(survey));
  if (isLeftOut({ survey }) || isOfNobody({ survey }, owner)) process.exitCode = LEFT;
}

function tell(view: RunView, isJson: boolean): void {
  const { run, state, reason, survey, report } = view;
  console.log(isJson ? JSON.stringify({ run, state, reason, survey, ...report }) : showBackfill(view));
  if (state === 'failed') process.exitCode = 1;
  const left = Object.values(view.services).some((counts) => Number(counts['lanes_left'] ?? 0) > 0);
  if (state !== 'finished') return;
  if (left || isLeftOut(view) || isOfNobody(view, view.request?.owner)) process.exitCode = LEFT;
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!Number.isSafeInteger(rate) || rate < 1)
    throw new InvalidArgumentError(`must be a whole number of items a second, got "${text}"`);
  return rate;
}
