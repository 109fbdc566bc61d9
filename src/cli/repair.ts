import { Command } from 'commander';
import { callPatiently, callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { limitOptions, limitsIn, type RepairLimitOptions } from './repair-limits.ts';
import { showRun } from './run-tables.ts';
import { acceptedWords, planSection, undoneWords } from '../operator/views/repairs.ts';
import { sectionText } from '../operator/views/terminal.ts';
import { watchRun } from './run-watch.ts';

interface ApplyOptions extends PersonOptions, RepairLimitOptions {}

/** Exit code when lanes were left unrepaired. */
const LEFT = 2;
const EXIT_CODES = `
Exit codes: 0 success; 1 error (reason on stderr); 2 apply or undo left lanes unchanged; 130 stopped by Ctrl-C.`;

/** `crossfade repair`: repairs what a reconciliation found, and reverts a repair. */
export function createRepairCommand(env: Environment): Command {
  const repair = new Command('repair')
    .description('Repair or accept what a reconciliation found, or revert a repair')
    .addHelpText('afterAll', EXIT_CODES);
  const planning = repair
    .command('plan')
    .argument('<run>', 'number of the reconciliation, as in crossfade runs list')
    .description('Print what a repair would change, lane by lane; changes nothing');
  // The other subcommands require both, and a script may pass them to all.
  planning
    .option(
      '--reason <text>',
      'no effect, because a plan is not recorded in the audit log; accepted so that a script can pass it to every subcommand',
    )
    .option('--person <name>', 'no effect, as --reason');
  proxyOptions(planning, env).action(async (run: string, { json, ...at }: ProxyOptions) => {
    const text = await callProxy(at, 'planRepair', { params: { run } });
    console.log(json === true ? text : sectionText(planSection(parsed(text))));
  });
  const applying = limitOptions(repair.command('apply'))
    .argument('<run>', 'number of the reconciliation, as in crossfade runs list')
    .description(
      'Make the orchestrator equal to legacy: lock, read, change and compare each lane. Stops at the first unexpected result',
    );
  personOptions(applying, env, 'progress as JSON lines, then the result as one JSON object').action(apply);
  const accepting = repair
    .command('accept')
    .argument('<lane>', '<service>/<owner>, as in crossfade repair plan')
    .description(
      'Accept the differences of one lane, so that they do not keep its reads on legacy. Later differences count again',
    );
  personOptions(accepting, env).action(accept);
  const undoing = repair
    .command('undo')
    .argument('<run>', 'number of the repair, as in crossfade runs list')
    .description(
      'Revert a repair. The lanes then differ from legacy again, so they are stopped and read from legacy',
    );
  personOptions(undoing, env).action(undo);
  return repair;
}

async function apply(of: string, options: ApplyOptions): Promise<void> {
  const { person, reason, limitItems: _items, limitShare: _share, json, ...at } = options;
  const body = { person, reason, ...limitsIn(options) };
  const { run } = parsed(await callProxy(at, 'applyRepair', { params: { run: of }, body }));
  const view = await watchRun(run, { at, person, json: json === true });
  const { state, report } = view;
  console.log(json === true ? JSON.stringify({ run, state, reason: view.reason, ...report }) : showRun(view));
  if (state === 'failed') process.exitCode = 1;
  const left = Object.values(view.services).some((counts) => Number(counts['lanes_left'] ?? 0) > 0);
  if (state === 'stopped' || left) process.exitCode = LEFT;
}

async function accept(lane: string, { person, reason, json, ...at }: PersonOptions): Promise<void> {
  const slash = lane.indexOf('/');
  if (slash < 1)
    throw new Error(`invalid lane "${lane}": use <service>/<owner>, as in "crossfade repair plan"`);
  const [service, owner] = [lane.slice(0, slash), lane.slice(slash + 1)] as const;
  const text = await callProxy(at, 'acceptLane', {
    params: { service },
    body: { owner, person, reason },
  });
  if (json === true) return console.log(text);
  console.log(acceptedWords(lane, parsed(text)));
}

async function undo(run: string, { person, reason, json, ...at }: PersonOptions): Promise<void> {
  const text = await callPatiently(at, 'undoRepair', { params: { run }, body: { person, reason } });
  const { undone, left } = parsed(text);
  if (json === true) console.log(text);
  else console.log([undoneWords(undone), ...left].join('\n'));
  if (left.length > 0) process.exitCode = LEFT;
}
