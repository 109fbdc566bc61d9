import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import type { Program } from '../support/processes.ts';
import { secondEndpoints, startSecondReplica } from '../support/second-replica.ts';
import { askOnce } from '../support/session-agent.ts';

const OWNER = 'o-back';

/** How a service is written to, and what its store and the orchestrator then hold. */
const SERVICES = {
  'session-memory': {
    create: { action: 'create_session', session_id: OWNER, user_id: 'u' },
    add: (text: string) => ({ action: 'add_interaction', session_id: OWNER, role: 'user', content: text }),
    accepted: 'success',
    onLegacy: (folder: string) => readLegacyStores(folder).sessions.get(OWNER),
    shows: (text: string) => `user\n${text}`,
  },
  'contextual-memory': {
    create: undefined,
    add: (text: string) => ({ action: 'add_interaction', session_id: OWNER, type: 'note', content: text }),
    accepted: "'bool' object has no attribute",
    onLegacy: (folder: string) => readLegacyStores(folder).entries.get(OWNER),
    shows: (text: string) => `note\n${text}`,
  },
  'jarvis-memory': {
    create: undefined,
    add: (text: string) => ({ action: 'add_memory', user_id: OWNER, memory: text }),
    accepted: '"ok"',
    onLegacy: (folder: string) => readLegacyStores(folder).memories.get(OWNER),
    shows: (text: string) => JSON.stringify(text),
  },
} as const;

type Service = keyof typeof SERVICES;
const NAMES = Object.keys(SERVICES) as Service[];

let deployment: Deployment;
let second: Program;
/** Where agents of the second replica connect. */
let elsewhere: Readonly<Record<string, string>>;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  second = await startSecondReplica(deployment);
  elsewhere = secondEndpoints(deployment);
});

afterAll(async () => {
  await second?.stop();
  await deployment?.end();
});

/** Sends a request through one of the replicas. A hold delays it, and no replica refuses it. */
async function write(service: Service, request: object, endpoint = deployment.endpoints[service]) {
  const { text } = await askOnce(endpoint, { ...request });
  expect(text).toContain(SERVICES[service].accepted);
}

async function begin(service: Service): Promise<number> {
  const answer = await fetch(`${deployment.httpUrl}/v1/rollbacks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ service, owner: OWNER, person: 'ann', reason: 'a test' }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { rollback: number }).rollback;
}

async function ended(rollback: number): Promise<object> {
  let last = '';
  const shown = async () => {
    last = await (await fetch(`${deployment.httpUrl}/v1/rollbacks/${rollback}`)).text();
    return JSON.parse(last) as { state: string };
  };
  return eventually('the end of the rollback', async () => {
    const now = await shown();
    return now.state === 'ended' && now;
  }).catch(async (failure: unknown) => {
    const lanes = await deployment.journal('select row_to_json(lanes) as lane from lanes');
    throw new Error(`${String(failure)}: ${last}, ${JSON.stringify(lanes)}`);
  });
}

interface Row {
  readonly primary: string;
  readonly epoch: number;
  readonly seeded: boolean;
}

async function laneOf(service: Service): Promise<Row | undefined> {
  const [row] = await deployment.journal<Row>(
    `select primary_backend as primary, epoch::int, seeded_coverage > 0 as seeded from lanes where key = '${service}/${OWNER}'`,
  );
  return row;
}

/** Items of the lane on the orchestrator. */
async function onOrchestrator(): Promise<number> {
  const [row] = await deployment.store<{ items: number }>(
    `select count(*)::int as items from memory_entries where session_id like '%${OWNER}' and is_active`,
  );
  return row?.items ?? 0;
}

describe.each(NAMES)('a lane of %s that two replicas write to', (service) => {
  const { create, add, onLegacy, shows } = SERVICES[service];
  let items = 0;

  test('is flipped with one write on both sides', async () => {
    items = await onOrchestrator();
    if (create !== undefined) await write(service, create);
    await write(service, add('before'));
    await everythingDelivered(deployment);
    await deployment.journal(`
      with moved as (
        update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence
        where key = '${service}/${OWNER}' returning id, epoch)
      insert into flips (lane_id, epoch, primary_backend, bucket, replica)
      select id, epoch, 'orchestrator', 50, gen_random_uuid() from moved`);
    await write(service, add('one'));
    await write(service, add('two'), elsewhere[service]);
    await eventually('both on legacy', async () => (onLegacy(deployment.legacyFolder) ?? []).length === 3);
  });

  test('returns while agents write through both, and loses and doubles nothing', async () => {
    const texts = Array.from({ length: 10 }, (_, at) => `during ${at}`);
    const rollback = await begin(service);
    for (const [at, text] of texts.entries())
      await write(service, add(text), at % 2 === 0 ? undefined : elsewhere[service]);
    expect(await ended(rollback)).toMatchObject({ lanes: 1, returned: 1 });
    expect(await laneOf(service)).toMatchObject({ primary: 'legacy', epoch: 2 });
    await write(service, add('after'), elsewhere[service]);
    const all = ['before', 'one', 'two', ...texts, 'after'].map(shows);
    expect(onLegacy(deployment.legacyFolder)).toEqual(all);
    await everythingDelivered(deployment);
    expect(await laneOf(service)).toMatchObject({ seeded: true });
    expect((await onOrchestrator()) - items).toBe(all.length);
  });
});
