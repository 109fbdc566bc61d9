import { Command } from 'commander';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { limitOption } from './ledger-options.ts';
import {
  personOptions,
  proxyOptions,
  type PersonOptions,
  type ProxyOptions,
  SERVICE_ARGUMENT,
} from './proxy-options.ts';
import { lanesTable, standstillWords } from '../operator/views/lanes.ts';
import { tableText } from '../operator/views/terminal.ts';

interface ListOptions extends ProxyOptions {
  readonly owner?: string;
  readonly unwell?: true;
  readonly limit: string;
}

/** `crossfade lanes`: finds lanes, and copies one again. */
export function createLanesCommand(env: Environment): Command {
  const lanes = new Command('lanes')
    .description('Find the lanes of a service, or copy one again')
    .addHelpText(
      'afterAll',
      `
One lane in full, with its writes:    crossfade explain <service> <owner>
Compare one lane on both backends:    crossfade reconcile --service <service> --owner <owner>
Exit codes: 0 success, 1 error (reason on stderr).`,
    );
  const list = lanes
    .command('list')
    .argument(...SERVICE_ARGUMENT)
    .description(
      'List the lanes of a service, last written first. For each lane, show what keeps its writes on legacy',
    )
    .option('--owner <text>', 'only lanes whose owner starts with this text')
    .option('--unwell', 'only lanes that are not clean, have excepted items, or differ from legacy')
    .addOption(limitOption('lanes', 50));
  proxyOptions(list, env).action(show);
  const copy = lanes
    .command('copy')
    .argument(...SERVICE_ARGUMENT)
    .argument('<owner>', 'owner of the lane, as in crossfade lanes list')
    .description('Copy one lane again from legacy to the orchestrator');
  personOptions(copy, env).action(copyLane);
  return lanes;
}

async function show(service: string, { owner, unwell, limit, json, ...at }: ListOptions): Promise<void> {
  const query = { limit, owner, ...(unwell === true && { unwell: 'true' as const }) };
  const text = await callProxy(at, 'listLanes', { params: { service }, query });
  if (json === true) return console.log(text);
  const { lanes, blocked_by: blockers } = parsed(text);
  console.log(tableText(lanesTable(service, lanes)));
  const standstill = standstillWords(blockers);
  if (lanes.length > 0 && standstill !== undefined)
    console.log(`${standstill} (crossfade flips show ${service})`);
  if (lanes.length === Number(limit))
    console.log(`only the first ${limit} are shown: use --limit for more, or --owner to search`);
}

async function copyLane(
  service: string,
  owner: string,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const text = await callProxy(at, 'copyLane', {
    params: { service },
    body: { owner, person, reason },
  });
  console.log(
    json === true
      ? text
      : `${service}/${owner} is being copied; see the result with: crossfade explain ${service} ${owner}`,
  );
}
