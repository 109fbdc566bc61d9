import { Command, InvalidArgumentError } from 'commander';
import type { Rollback, RollbackPlan } from '../operator/api/rollbacks.ts';
import {
  flipsHeldWords,
  lostWritesTable,
  planSentences,
  progressWords,
  stuckLanesTable,
} from '../operator/views/rollbacks.ts';
import { tableText } from '../operator/views/terminal.ts';
import { callProxy, parsed, type Environment, type ProxyAddress } from './operator-client.ts';
import { proxyOptions, type ProxyOptions, SERVICE_ARGUMENT } from './proxy-options.ts';

const LOOK_EVERY_MS = 500;
/** After this time without a returned lane, the command ends. The proxies continue. */
const PATIENCE_MS = 60_000;
/** Exit code when lanes have not returned yet. */
const LEFT = 2;
const EXIT_CODES = `
Give exactly one of --lane, --percent and --all. Without --accept, a return that would lose writes is refused.
Example: crossfade rollback session-memory --percent 25 --person ann --reason "back to a quarter"
Exit codes: 0 every lane has returned; 1 error (reason on stderr); 2 lanes still wait, and the proxies continue; 130 stopped by Ctrl-C.`;

interface RollbackOptions extends ProxyOptions {
  readonly person?: string;
  readonly reason?: string;
  readonly lane?: string;
  readonly percent?: number;
  readonly all?: true;
  readonly dryRun?: true;
  readonly accept?: true;
}

/** `crossfade rollback`: returns flipped lanes to legacy. */
export function createRollbackCommand(env: Environment): Command {
  const command = new Command('rollback')
    .argument(...SERVICE_ARGUMENT)
    .description(
      'Hold further flips of a service, and return flipped lanes to legacy. First prints the writes that legacy would lack',
    )
    .option('--lane <owner>', 'only the lane of this owner')
    .option(
      '--percent <n>',
      'the lanes that moved after this percentage, 0 to 99; 25 keeps the first quarter on the orchestrator',
      parsePercent,
    )
    .option('--all', 'every flipped lane of the service')
    .option('--dry-run', 'print what a return would lose and how long it takes; changes nothing')
    .option('--accept', 'accept that legacy will lack the listed and the forgotten writes')
    .option('--reason <text>', 'why (recorded in the audit log; not needed for --dry-run)')
    .option(
      '--person <name>',
      'who is responsible (not needed for --dry-run, or if the token names a person)',
    )
    .addHelpText('afterAll', EXIT_CODES);
  return proxyOptions(command, env).action(rollback);
}

function parsePercent(text: string): number {
  const percent = Number(text);
  if (!Number.isInteger(percent) || percent < 0 || percent > 99)
    throw new InvalidArgumentError(`must be a whole number from 0 to 99, got "${text}"`);
  return percent;
}

async function rollback(service: string, options: RollbackOptions): Promise<void> {
  const { lane, percent, all, dryRun, accept, person, reason, json, ...at } = options;
  if ([lane, percent, all].filter((one) => one !== undefined).length !== 1)
    throw new Error('choose the lanes with one of --lane, --percent and --all');
  const query = { service, owner: lane, percent: percent?.toString() };
  const text = await callProxy(at, 'planRollback', { query });
  if (json !== true) tellPlan(parsed(text));
  else if (dryRun === true) console.log(text);
  if (dryRun === true) return;
  const body = { service, owner: lane, percent, all, accept: accept === true, person, reason };
  const begun = parsed(await callProxy(at, 'beginRollback', { body }));
  const ended = await watched(begun, at, json === true);
  if (json === true) console.log(JSON.stringify(ended));
  else tell(ended);
  if (ended.returned < ended.lanes) process.exitCode = LEFT;
}

function tellPlan(plan: RollbackPlan): void {
  console.log(planSentences(plan).join('\n'));
  if (plan.would_be_lost > 0) console.log(tableText(lostWritesTable(plan)));
}

/** Prints each change on stderr, until every lane has returned or none returns any more. */
async function watched(begun: Rollback, at: ProxyAddress, isQuiet: boolean): Promise<Rollback> {
  const params = { rollback: String(begun.rollback) };
  let seen = begun;
  let movedAtMs = performance.now();
  while (seen.state === 'running' && performance.now() - movedAtMs < PATIENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const now = parsed(await callProxy(at, 'showRollback', { params }));
    if (now.returned !== seen.returned) {
      movedAtMs = performance.now();
      if (!isQuiet) process.stderr.write(`${progressWords(now)}\n`);
    }
    seen = now;
  }
  return seen;
}

function tell(rollback: Rollback): void {
  console.log(progressWords(rollback));
  if (rollback.returned < rollback.lanes) console.log(tableText(stuckLanesTable(rollback)));
  console.log(flipsHeldWords(rollback.service));
}
