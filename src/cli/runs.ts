import { Command } from 'commander';
import { stringify } from 'yaml';
import { askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import type { RunView } from './run-watch.ts';

/** `crossfade runs`: backfills, reconciliations and repairs, those under way and those before. */
export function createRunsCommand(env: Environment): Command {
  const runs = new Command('runs')
    .description('Backfills, reconciliations and repairs: list, show, stop')
    .addHelpText(
      'afterAll',
      '\nExit codes: 0 done; 1 not done, and why is said. How a run itself ended is told by its state.',
    );
  proxyOptions(runs.command('list').description('The newest first'), env).action(list);
  const showing = runs
    .command('show')
    .argument('<run>')
    .description('How far it is, what it found, and its document');
  proxyOptions(showing, env).action(async (run: string, { json, ...at }: ProxyOptions) => {
    const text = await askProxy(at, `/v1/runs/${encodeURIComponent(run)}`);
    console.log(json === true ? text : stringify(JSON.parse(text)));
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
  const lines = all.map(({ run, kind, state, began_at: at, reason }) =>
    `${String(run).padStart(5)}  ${kind.padEnd(9)}  ${state.padEnd(8)}  ${at}  ${reason}`.trimEnd(),
  );
  console.log(
    lines.length === 0
      ? 'no runs yet: crossfade backfill --dry-run looks at what there is'
      : lines.join('\n'),
  );
}
