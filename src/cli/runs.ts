import { Command } from 'commander';
import { askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { showBackfill, showRun, showRuns } from './run-tables.ts';
import type { RunView } from './run-watch.ts';

/** `crossfade runs`: backfills, reconciliations and repairs, those under way and those before. */
export function createRunsCommand(env: Environment): Command {
  const runs = new Command('runs')
    .description('Backfills, reconciliations and repairs: list, show, stop')
    .addHelpText(
      'afterAll',
      '\nExit codes: 0 success, 1 error (reason on stderr). The state of a run says how the run itself ended.',
    );
  proxyOptions(runs.command('list').description('The newest first'), env).action(list);
  const showing = runs
    .command('show')
    .argument('<run>')
    .description('How far it is, what it found, and its document');
  proxyOptions(showing, env).action(async (run: string, { json, ...at }: ProxyOptions) => {
    const text = await askProxy(at, `/v1/runs/${encodeURIComponent(run)}`);
    console.log(json === true ? text : shown(JSON.parse(text) as RunView));
  });
  const stopping = runs
    .command('stop')
    .argument('<run>')
    .description('What is under way ends, nothing more begins; --resume of its command takes it up again');
  personOptions(stopping, env).action(async (run: string, { person, reason, json, ...at }: PersonOptions) => {
    const text = await askProxy(at, `/v1/runs/${encodeURIComponent(run)}/stop`, { person, reason });
    console.log(json === true ? text : `run ${run} is stopped`);
  });
  return runs;
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await askProxy(at, '/v1/runs');
  if (json === true) return console.log(text);
  const { runs: all } = JSON.parse(text) as { runs: readonly RunView[] };
  console.log(
    all.length === 0 ? 'no runs yet: crossfade backfill --dry-run looks at what there is' : showRuns(all),
  );
}

/** What was asked for, how far it is, and what came of it. */
function shown(run: RunView): string {
  const { lanes, lanes_done: done } = run;
  const under =
    run.state === 'listing' || run.state === 'running' ? [`${done} of ${lanes} lanes so far`] : [];
  return [showRuns([run]), ...under, '', run.kind === 'backfill' ? showBackfill(run) : showRun(run)].join(
    '\n',
  );
}
