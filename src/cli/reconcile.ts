import { Command, Option } from 'commander';
import type { RepairPlan } from '../operator/api/repairs.ts';
import type { ShownRun } from '../operator/api/runs.ts';
import {
  callProxy,
  parsed,
  type Environment,
  type ProxyAddress,
  tokenOption,
  urlOption,
} from './operator-client.ts';
import { responsibleFor } from './proxy-options.ts';
import { limitOptions, limitsIn, type RepairLimitOptions } from './repair-limits.ts';
import { showRun } from './run-tables.ts';
import { isLeftOut, isOfNobody, watchRun } from './run-watch.ts';
import { counted } from '../operator/views/figures.ts';
import { planSection } from '../operator/views/repairs.ts';
import { sectionText } from '../operator/views/terminal.ts';

interface ReconcileOptions extends ProxyAddress, RepairLimitOptions {
  readonly service?: string;
  readonly owner?: string;
  readonly changed?: true;
  readonly resume?: true;
  readonly repair?: 'plan' | 'apply';
  readonly person?: string;
  readonly reason?: string;
  readonly json?: true;
}

/** Exit code when lanes differ, or could not be compared. */
const DIFFERENT = 2;

/** `crossfade reconcile`: compares both stores lane by lane, and reports which store changed. */
export function createReconcileCommand(env: Environment): Command {
  const command = new Command('reconcile')
    .description(
      'Compare what legacy and the orchestrator store, report which side changed, and optionally repair',
    )
    .option('--service <name>', 'only this service (default: all)')
    .option('--owner <owner>', 'only the lane of this session or user')
    .addOption(new Option('--full', 'every lane (default)').conflicts('changed'))
    .option('--changed', 'only lanes that were written, or found different, since they were last found equal')
    .addOption(
      new Option(
        '--resume',
        'continue the last stopped reconciliation with its original options, or watch the running one',
      ).conflicts(['service', 'owner', 'full', 'changed']),
    )
    .addOption(
      new Option(
        '--repair <how>',
        'plan: print what a repair would change; apply: repair (default: only compare)',
      ).choices(['plan', 'apply']),
    );
  return limitOptions(command)
    .option('--reason <text>', 'why, for the audit log (required with --repair apply)')
    .option(
      '--person <name>',
      'who is responsible (default: the name of the token, or the user of this machine)',
    )
    .option('--json', 'progress as JSON lines, then the result as one JSON object')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .addHelpText(
      'after',
      `
The proxies share the work, and continue it after a crash. Ctrl-C stops it. --resume continues it.
A repair never changes items that legacy lost. crossfade lost list shows them, and a person decides about each.
Example: crossfade reconcile --service session-memory --changed
Exit codes: 0 equal, or repaired; 1 error (reason on stderr); 2 lanes differ, could not be compared, or were left out; 130 stopped by
Ctrl-C.`,
    )
    .action(reconcile);
}

async function reconcile(options: ReconcileOptions): Promise<void> {
  const { service, owner } = options;
  refuseUnexplainedRepair(options);
  const by = responsibleFor(options);
  const at = addressOf(options);
  const scope = options.changed === true ? 'changed' : 'full';
  const endpoint = options.resume === true ? 'resumeRun' : 'beginRun';
  const body = { kind: 'reconcile' as const, service, owner, scope, ...by };
  const { run } = parsed(await callProxy(at, endpoint, { body }));
  const isJson = options.json === true;
  const view = await watchRun(run, { at, person: by.person, json: isJson });
  const repaired = view.state === 'finished' ? await repair(options, view) : undefined;
  const isPlanned = options.repair === 'plan' || (options.repair === 'apply' && isUnrepaired(view, repaired));
  const plan = isPlanned ? await planOf(at, view.run) : undefined;
  if (isJson)
    console.log(JSON.stringify({ ...resultOf(view), plan, repair: repaired && resultOf(repaired) }));
  else tell(view, plan, repaired);
  process.exitCode = exitCodeOf(view, repaired);
}

/** @throws Error */
function refuseUnexplainedRepair({ repair: how, reason }: ReconcileOptions): void {
  if (how !== 'apply' || reason !== undefined) return;
  throw new Error('--repair apply changes stored data: --reason is required');
}

async function repair(options: ReconcileOptions, { run }: ShownRun): Promise<ShownRun | undefined> {
  const by = responsibleFor(options);
  const at = addressOf(options);
  if (options.repair !== 'apply') return undefined;
  const { lanes } = await planOf(at, run);
  if (lanes.length === 0) return undefined;
  const call = { params: { run: String(run) }, body: { ...by, ...limitsIn(options) } };
  const begun = parsed(await callProxy(at, 'applyRepair', call));
  return watchRun(begun.run, { at, person: by.person, json: options.json === true });
}

/** True if there was nothing to repair, as the output reports. */
function isUnrepaired({ state }: ShownRun, repaired: ShownRun | undefined): boolean {
  return state === 'finished' && repaired === undefined;
}

function addressOf({ url, token }: ReconcileOptions): ProxyAddress {
  return { url, ...(token !== undefined && { token }) };
}

async function planOf(at: ProxyAddress, run: number): Promise<RepairPlan> {
  return parsed(await callProxy(at, 'planRepair', { params: { run: String(run) } }));
}

function resultOf({ run, state, reason, report }: ShownRun): object {
  return { run, state, reason, ...report };
}

function tell(view: ShownRun, plan: RepairPlan | undefined, repaired: ShownRun | undefined): void {
  console.log(
    [showRun(view), ...afterReconciliation(view, plan !== undefined || repaired !== undefined)].join('\n'),
  );
  if (plan !== undefined) console.log(`\n${sectionText(planSection(plan))}`);
  if (repaired !== undefined) console.log(`\n${showRun(repaired)}`);
}

function exitCodeOf(view: ShownRun, repaired: ShownRun | undefined): number | undefined {
  if (view.state === 'failed' || repaired?.state === 'failed') return 1;
  if (view.state === 'stopped') return process.exitCode === undefined ? 1 : Number(process.exitCode);
  const isStopped = repaired !== undefined && repaired.state !== 'finished';
  return leftOf(view, repaired) > 0 || isUnsure(view) || isStopped ? DIFFERENT : 0;
}

function leftOf(view: ShownRun, repaired: ShownRun | undefined): number {
  const left =
    repaired === undefined
      ? sumOf(view, 'lanes_different')
      : sumOf(repaired, 'lanes_left') + sumOf(view, 'lost');
  return left + sumOf(view, 'flipped_lanes_different');
}

function isUnsure(view: ShownRun): boolean {
  const notCompared = sumOf(view, 'lanes_not_comparable') + sumOf(view, 'flipped_lanes_not_comparable');
  return notCompared > 0 || isLeftOut(view) || isOfNobody(view, view.request.owner);
}

/**
 * Hints printed after a reconciliation: the next command, or why nothing was compared.
 * @param isSettled whether a repair was already planned or applied
 */
export function afterReconciliation(view: ShownRun, isSettled: boolean): string[] {
  if (view.state !== 'finished') return [];
  const [lanes, lost] = [sumOf(view, 'lanes'), sumOf(view, 'lost')];
  const repairable = sumOf(view, 'findings') - lost;
  return [
    ...(lanes === 0 && view.request.scope === 'changed' && !isLeftOut(view)
      ? ['  nothing to compare: no lane was written to since it was last found equal']
      : []),
    ...(repairable > 0 && !isSettled
      ? [`next: crossfade repair plan ${view.run} shows what a repair would change`]
      : []),
    ...(lost > 0
      ? [`next: crossfade lost list shows ${counted(lost, 'item')} that legacy lost: no repair touches them`]
      : []),
  ];
}

/** The sum over all services of a run. */
export function sumOf({ services }: ShownRun, name: string): number {
  return Object.values(services).reduce((total, counts) => total + Number(counts[name] ?? 0), 0);
}
