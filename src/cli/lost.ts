import { Command } from 'commander';
import { askPatiently, askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';

interface LostView {
  readonly service: string;
  readonly owner: string;
  readonly memory_id: string;
  readonly found_at: string;
}

const DECISIONS = {
  accept: 'Legacy is right: the orchestrator gives the item up',
  restore: 'The item is stored on legacy anew through its protocol, as the last one of its lane',
} as const;

/** `crossfade lost`: items that legacy does not show any more although nobody deleted them. */
export function createLostCommand(env: Environment): Command {
  const lost = new Command('lost')
    .description('Items that legacy lost: list them, and decide about each by name')
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  proxyOptions(
    lost.command('list').description('Those that wait for a decision, the oldest first'),
    env,
  ).action(list);
  for (const [decision, description] of Object.entries(DECISIONS)) {
    const command = lost
      .command(decision)
      .argument('<lane>', 'as the list shows it: <service>/<owner>')
      .argument('<memory id>')
      .description(description);
    personOptions(command, env).action((lane: string, id: string, wish: PersonOptions) =>
      decide({ decision, lane, id }, wish),
    );
  }
  return lost;
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await askProxy(at, '/v1/lost');
  if (json === true) return console.log(text);
  const { items } = JSON.parse(text) as { items: readonly LostView[] };
  const lines = items.map(
    ({ service, owner, memory_id: id, found_at: at }) => `${service}/${owner}  ${id}  found ${at}`,
  );
  console.log(lines.length === 0 ? 'nothing is lost' : lines.join('\n'));
}

async function decide(
  { decision, lane, id }: Readonly<Record<'decision' | 'lane' | 'id', string>>,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const slash = lane.indexOf('/');
  if (slash < 1)
    throw new Error(`"${lane}" is no lane: say <service>/<owner>, as "crossfade lost list" does`);
  const item = { service: lane.slice(0, slash), owner: lane.slice(slash + 1), memory_id: id };
  const text = await askPatiently(at, '/v1/lost', { ...item, decision, person, reason });
  if (json === true) return console.log(text);
  const { waiting } = JSON.parse(text) as { waiting: number };
  const rest = waiting === 0 ? 'nothing of its lane waits any more' : `${waiting} more of its lane wait`;
  console.log(`${id} is decided (${decision}); ${rest}`);
}
