import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLane, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const SERVICE = 'session-memory';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

interface Rollback {
  readonly rollback: number;
  readonly state: string;
  readonly lanes: number;
  readonly returned: number;
  readonly waiting: readonly { readonly reason: string }[];
}

async function call(path: string, body?: object): Promise<{ readonly status: number; readonly data: never }> {
  const answer = await fetch(`${deployment.httpUrl}${path}`, {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, person: 'ann', reason: 'a test' }),
    }),
  });
  return { status: answer.status, data: (await answer.json()) as never };
}

async function rollback(choice: object): Promise<Rollback> {
  const { status, data } = await call('/v1/rollbacks', { service: SERVICE, ...choice });
  expect(data).toMatchObject({ state: 'running' });
  expect(status).toBe(200);
  return data;
}

async function ended({ rollback: id }: Rollback): Promise<Rollback> {
  return eventually('the end of the rollback', async () => {
    const shown = (await call(`/v1/rollbacks/${id}`)).data as Rollback;
    return shown.state === 'ended' && shown;
  });
}

/** A session whose writes have moved, with one interaction from before. */
async function moved(session: string): Promise<void> {
  await ask(createSession(session));
  await ask(addInteraction(session, 'before'));
  await everythingDelivered(deployment);
  await deployment.journal(`
    with moved as (
      update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence
      where key = '${SERVICE}/${session}' returning id, epoch, claim_replica
    )
    insert into flips (lane_id, epoch, primary_backend, bucket, replica)
    select id, epoch, 'orchestrator', 50, coalesce(claim_replica, gen_random_uuid()) from moved`);
}

async function primaryOf(session: string): Promise<string | undefined> {
  const [row] = await deployment.journal<{ primary: string }>(
    `select primary_backend as primary from lanes where key = '${SERVICE}/${session}'`,
  );
  return row?.primary;
}

const said = (...texts: readonly string[]): string[] => texts.map((text) => `user: ${text}`);

test('a returned lane has every write on legacy, and both stores are equal afterwards', async () => {
  await moved('s-back');
  for (const text of ['one', 'two']) expect(await ask(addInteraction('s-back', text))).toContain('success');
  expect((await call(`/v1/rollbacks/plan?service=${SERVICE}`)).data).toMatchObject({
    lanes: 1,
    would_be_lost: 0,
    own_items: 0,
  });
  expect(await ended(await rollback({ owner: 's-back' }))).toMatchObject({ lanes: 1, returned: 1 });
  expect(await primaryOf('s-back')).toBe('legacy');
  expect(await ask(addInteraction('s-back', 'three'))).toContain('success');
  const all = said('before', 'one', 'two', 'three');
  expect(await readLegacy(deployment, 's-back')).toEqual(all);
  await everythingDelivered(deployment);
  expect(await readOrchestrator(deployment, 's-back')).toEqual(all);
});

test('further flips are held after a return', async () => {
  const [hold] = await deployment.journal(
    `select service from flip_holds where service = '${SERVICE}' and lifted_at is null`,
  );
  expect(hold).toEqual({ service: SERVICE });
});

test('a return works while the orchestrator is dead', async () => {
  await moved('s-dead');
  expect(await ask(addInteraction('s-dead', 'one'))).toContain('success');
  await deployment.orchestratorPath.refuse();
  // Its agent gets an error, and the write counts as not applied.
  expect(await ask(addInteraction('s-dead', 'never'))).toContain('error');
  expect(await ended(await rollback({ all: true }))).toMatchObject({ returned: 1 });
  expect(await ask(addInteraction('s-dead', 'two'))).toContain('success');
  expect(await readLegacy(deployment, 's-dead')).toEqual(said('before', 'one', 'two'));
  await deployment.orchestratorPath.pass();
  await everythingDelivered(deployment);
  expect(await readOrchestrator(deployment, 's-dead')).toEqual(said('before', 'one', 'two'));
});

test('a write that a hung orchestrator left open does not stop the return', async () => {
  await moved('s-hung');
  deployment.orchestratorPath.silence();
  expect(await ask(addInteraction('s-hung', 'never'))).toContain('error');
  const begun = await rollback({ all: true });
  expect(await ended(begun)).toMatchObject({ returned: 1 });
  expect(await ask(addInteraction('s-hung', 'two'))).toContain('success');
  expect(await readLegacy(deployment, 's-hung')).toEqual(said('before', 'two'));
  await deployment.orchestratorPath.refuse();
  await deployment.orchestratorPath.pass();
  await everythingDelivered(deployment);
  expect(await readOrchestrator(deployment, 's-hung')).toEqual(said('before', 'two'));
});

describe('a lane to which nothing is sent any more', () => {
  test('is not returned, unless the person accepts what legacy lacks', async () => {
    await moved('s-lost');
    await deployment.journal(
      `insert into lost_ways_back (lane_id) select id from lanes where key = '${SERVICE}/s-lost'`,
    );
    expect(await ask(addInteraction('s-lost', 'gone'))).toContain('success');
    await eventually(
      'a recorded outcome',
      async () => (await readLane(deployment, 's-lost'))?.outcome === 'applied',
    );
    const refused = await call('/v1/rollbacks', { service: SERVICE, all: true });
    expect(refused).toMatchObject({ status: 409, data: { error: 'would_be_lost' } });
    expect(await primaryOf('s-lost')).toBe('orchestrator');
    expect(await ended(await rollback({ all: true, accept: true }))).toMatchObject({ returned: 1 });
    expect(await readLegacy(deployment, 's-lost')).toEqual(said('before'));
    // The orchestrator still has the write, and a person decides about it by name.
    const lost = await eventually('the lost write', async () => {
      const [row] = await deployment.journal<{ memory_id: string }>(
        `select memory_id from lost_items where owner = 's-lost'`,
      );
      return row;
    });
    const accepted = { decision: 'accept', service: SERVICE, owner: 's-lost', ...lost };
    expect(await call('/v1/lost', accepted)).toMatchObject({ status: 200 });
  });
});

test('a killed proxy continues the return, and loses nothing', async () => {
  await moved('s-killed');
  deployment.legacyPath.silence();
  expect(await ask(addInteraction('s-killed', 'one'))).toContain('success');
  const begun = await rollback({ all: true });
  await deployment.crash();
  await deployment.legacyPath.pass();
  expect(await ended(begun)).toMatchObject({ lanes: 1, returned: 1 });
  expect(await readLegacy(deployment, 's-killed')).toEqual(said('before', 'one'));
});

test('a service without a moved lane has nothing to return', async () => {
  expect(await call('/v1/rollbacks', { service: 'jarvis-memory', all: true })).toMatchObject({
    status: 409,
    data: { error: 'nothing_moved' },
  });
});
