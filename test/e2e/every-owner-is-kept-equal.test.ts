import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLane, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession, freshSession } from '../support/session-agent.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    // The stand-in reads a write of 4 MiB for a second, and on a slow machine for longer than the default deadline.
    config: { proxy: { deadlineMs: 15_000 } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
});

afterAll(() => deployment?.end());

const ask = (request: Readonly<Record<string, unknown>>) =>
  askOnce(deployment.endpoints['session-memory'], request);

async function isDelivered(session: string): Promise<void> {
  await eventually('everything delivered', async () => {
    const lane = await readLane(deployment, session);
    return lane?.condition === 'clean' && lane.delivered === lane.sequence;
  });
}

test('an owner of 512 characters is delivered like any other', async () => {
  const session = freshSession('漢').padEnd(512, 'x');
  await ask(createSession(session));
  await ask(addInteraction(session, 'hello'));
  await isDelivered(session);
  expect(await readLane(deployment, session)).toMatchObject({ sequence: 2, deadLetters: 0, exceptions: 0 });
  const stored = await deployment.store<{ text: string }>(
    `select text_content as text from memory_entries where lane_key = 'session-memory/${session}'`,
  );
  expect(stored).toEqual([{ text: 'hello' }]);
});

test('a write with a number as id reaches the session named by its text', async () => {
  await ask(createSession('77'));
  await ask(addInteraction('77', 'as text'));
  await isDelivered('77');
  const reply = await ask({ ...addInteraction('', 'as a number'), session_id: 77 });
  expect(reply.status).toBe('success');
  await eventually('the row that legacy wrote under the number', async () => {
    const stored = await readOrchestrator(deployment, '77');
    return stored.join() === 'user: as text,user: as a number';
  });
  await isDelivered('77');
});

test('a dead letter shows which field is over which limit', async () => {
  const session = freshSession();
  await ask(createSession(session));
  await ask(addInteraction(session, 'x'.repeat(1024 * 1024 + 1)));
  const [letter] = await eventually('the dead letter', async () => {
    const letters = await deployment.journal<{ code: string; reason: string }>(
      'select code, reason from dead_letters where resolved_at is null',
    );
    return letters.length > 0 && letters;
  });
  expect(letter).toEqual({ code: 'validation_error', reason: 'content, limit 1048576' });
});

test('a write too large for a message is a dead letter; other lanes are delivered', async () => {
  // Its text, and the text of that, are more than the orchestrator receives at all.
  const isSeeded = async (): Promise<boolean> =>
    (await deployment.journal("select from lanes where owner = 'large' and delivered_sequence = 1")).length >
    0;
  const memories = ['small', { quotes: '"'.repeat(2_000_000) }];
  for (const memory of memories) {
    const request = { action: 'add_memory', user_id: 'large', memory };
    expect(await askOnce(deployment.endpoints['jarvis-memory'], request)).toMatchObject({ status: 'ok' });
    if (memory === 'small') await eventually('the lane is seeded', isSeeded);
  }
  const session = freshSession();
  await ask(createSession(session));
  await ask(addInteraction(session, 'hello'));
  await isDelivered(session);
  const [letter] = await eventually('the dead letter', async () => {
    const letters = await deployment.journal<{ code: string; reason: string }>(
      "select d.code, d.reason from dead_letters d join lanes l on l.id = d.lane_id where l.owner = 'large'",
    );
    return letters.length > 0 && letters;
  });
  expect(letter).toEqual({ code: 'validation_error', reason: 'too_large, message, limit 4194304' });
});

test('an owner whose first write legacy refuses is seeded by itself', async () => {
  const session = freshSession();
  const refusal = await ask(addInteraction(session, ''));
  expect(refusal.status).toBe('error');
  await eventually('the lane is seeded', async () => {
    const lanes = await deployment.journal<{ seeded: number; condition: string }>(
      `select seeded_coverage as seeded, condition from lanes where key = 'session-memory/${session}'`,
    );
    return lanes.some(({ seeded, condition }) => seeded > 0 && condition === 'clean');
  });
});
