import { Command } from 'commander';
import { stringify } from 'yaml';
import { askProxy, tokenOption, urlOption, type Environment, type ProxyAddress } from './operator-client.ts';
import type { RunView } from './run-watch.ts';

interface Remote extends ProxyAddress {
  readonly json?: true;
}

/** `crossfade runs`: backfills, reconciliations and repairs, those under way and those before. */
export function createRunsCommand(env: Environment): Command {
  const runs = new Command('runs').description('Backfills, reconciliations and repairs: list, show, stop');
  runs
    .command('list')
    .description('The newest first')
    .option('--json', 'as JSON')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .action(async ({ json, ...at }: Remote) => {
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
    });
  runs
    .command('show')
    .argument('<run>')
    .description('How far it is, what it found, and its document')
    .option('--json', 'as JSON')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .action(async (run: string, { json, ...at }: Remote) => {
      const text = await askProxy(at, `/v1/runs/${encodeURIComponent(run)}`);
      console.log(json === true ? text : stringify(JSON.parse(text)));
    });
  runs
    .command('stop')
    .argument('<run>')
    .description('What is under way ends, nothing more begins; --resume of its command takes it up again')
    .requiredOption('--person <name>', 'who answers for it')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .action(async (run: string, { person, ...at }: Remote & { person: string }) => {
      await askProxy(at, `/v1/runs/${encodeURIComponent(run)}/stop`, { person });
      console.log(`run ${run} is stopped`);
    });
  return runs;
}
