import { Command } from 'commander';
import { decidedItemsWords, lostTable } from '../operator/views/lost.ts';
import { tableText } from '../operator/views/terminal.ts';
import { callPatiently, callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';

/** `crossfade lost`: items that are gone from legacy although no agent deleted them. */
export function createLostCommand(env: Environment): Command {
  const lost = new Command('lost')
    .description('List items that legacy lost, and restore them or accept the loss')
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  proxyOptions(
    lost
      .command('list')
      .description(
        'List lost items that need a decision, with lane, position, time, shapes of the fields, and memory id',
      ),
    env,
  ).action(list);
  const lane = ['<lane>', '<service>/<owner>, as in crossfade lost list'] as const;
  personOptions(
    lost
      .command('accept')
      .argument(...lane)
      .argument('<memory id>', 'id of the item on the orchestrator, as in crossfade lost list')
      .description('Accept the loss: delete the item from the orchestrator too'),
    env,
  ).action((of: string, id: string, wish: PersonOptions) =>
    decide({ decision: 'accept', lane: of, id }, wish),
  );
  personOptions(
    lost
      .command('restore')
      .argument(...lane)
      .argument('[memory id]', 'one item (default: all lost items of the lane, in their original order)')
      .description(
        'Store items on legacy again through its protocol, each at the end of its lane. A missing owner is created first',
      ),
    env,
  ).action((of: string, id: string | undefined, wish: PersonOptions) =>
    decide({ decision: 'restore', lane: of, id }, wish),
  );
  return lost;
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listLost', {});
  if (json === true) return console.log(text);
  console.log(tableText(lostTable(parsed(text).items)));
}

interface Decision {
  readonly decision: 'accept' | 'restore';
  readonly lane: string;
  /** Undefined: all items of the lane. */
  readonly id: string | undefined;
}

async function decide(
  { decision, lane, id }: Decision,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const slash = lane.indexOf('/');
  if (slash < 1)
    throw new Error(`invalid lane "${lane}": use <service>/<owner>, as in "crossfade lost list"`);
  const item = {
    service: lane.slice(0, slash),
    owner: lane.slice(slash + 1),
    ...(id !== undefined && { memory_id: id }),
  };
  const text = await callPatiently(at, 'decideLost', {
    body: { ...item, decision, person, reason },
  });
  if (json === true) return console.log(text);
  console.log(decidedItemsWords({ decision, ...parsed(text) }));
}
