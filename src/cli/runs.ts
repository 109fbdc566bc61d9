import { Command } from 'commander';
import type { ShownRun } from '../operator/api/runs.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { runsTable } from '../operator/views/runs.ts';
import { tableText } from '../operator/views/terminal.ts';
import { showBackfill, showRun } from './run-tables.ts';

/** `crossfade runs`: current and past backfills, reconciliations and repairs. */
export function createRunsCommand(env: Environment): Command {
  const runs = new Command('runs')
    .description('List, show and stop backfills, reconciliations and repairs')
    .addHelpText(
      'afterAll',
      '\nExit codes: 0 success, 1 error (reason on stderr). They do not reflect the result of a run; see its state.',
    );
  proxyOptions(runs.command('list').description('List runs, newest first'), env).action(list);
  const showing = runs
    .command('show')
    .argument('<run>', 'number of the run, as in crossfade runs list')
    .description('Show the progress, the findings and the result of a run');
  proxyOptions(showing, env).action(async (run: string, { json, ...at }: ProxyOptions) => {
    const text = await callProxy(at, 'showRun', { params: { run } });
    console.log(json === true ? text : shown(parsed(text)));
  });
  const stopping = runs
    .command('stop')
    .argument('<run>', 'number of the run, as in crossfade runs list')
    .description(
      'Stop a run after it has finished the lanes in progress. To continue it, use --resume of backfill or reconcile',
    );
  personOptions(stopping, env).action(async (run: string, { person, reason, json, ...at }: PersonOptions) => {
    const text = await callProxy(at, 'stopRun', { params: { run }, body: { person, reason } });
    console.log(json === true ? text : `stopped run ${run}`);
  });
  return runs;
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listRuns', {});
  if (json === true) return console.log(text);
  console.log(tableText(runsTable(parsed(text).runs)));
}

/** The request of a run, its progress, and its result. */
function shown(run: ShownRun): string {
  const { lanes, lanes_done: done } = run;
  const under =
    run.state === 'listing' || run.state === 'running' ? [`${done} of ${lanes} lanes so far`] : [];
  return [
    tableText(runsTable([run])),
    ...under,
    '',
    run.kind === 'backfill' ? showBackfill(run) : showRun(run),
  ].join('\n');
}
