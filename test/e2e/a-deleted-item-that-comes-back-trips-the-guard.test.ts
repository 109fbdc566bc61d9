import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSaboteur, type Saboteur } from '../accept/saboteur.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { freePort } from '../support/ports.ts';
import { addInteraction, askOnce, createSession, getContext } from '../support/session-agent.ts';

let deployment: Deployment;
let saboteur: Saboteur;

beforeAll(async () => {
  const front = `tcp://127.0.0.1:${await freePort()}`;
  deployment = await startDeployment({
    config: {
      orchestrator: { endpoint: front, readTimeoutMs: 2_000 },
      guard: { mode: 'enforce', coolDownSeconds: 0 },
    },
  });
  const back = `tcp://127.0.0.1:${deployment.orchestratorPath.port}`;
  // Between the proxy and the orchestrator: of what is cleared nothing goes.
  saboteur = await startSaboteur(front, back, 'keep-deleted');
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
});

afterAll(async () => {
  saboteur?.stop();
  await deployment?.end();
});

interface Words {
  readonly begin: readonly object[];
  say(text: string): object;
  readonly clear: object;
  readonly read: object;
}

const SESSION: Words = {
  begin: [createSession('s')],
  say: (text) => addInteraction('s', text),
  clear: { action: 'clear_session', session_id: 's', request_id: 'clear' },
  read: getContext('s'),
};
const JARVIS: Words = {
  begin: [],
  say: (text) => ({ action: 'add_memory', user_id: 'ann', memory: { type: 'note', text, weight: 1.5 } }),
  clear: { action: 'clear_memories', user_id: 'ann' },
  read: { action: 'get_memories', user_id: 'ann' },
};

test.each([
  ['session-memory', SESSION],
  ['jarvis-memory', JARVIS],
] as const)('%s: a cleared item that the orchestrator shows again', async (service, words) => {
  const ask = async (request: object) => (await askOnce(deployment.endpoints[service], { ...request })).text;
  const held = async () => (await deployment.serviceStatus(service)).guard.held_by;
  for (const request of [...words.begin, words.say('a'), words.say('b')]) await ask(request);
  await everythingDelivered(deployment);
  expect(await ask(words.read)).toContain('"b"');
  await eventually('a comparison', async () => {
    const { comparisons } = await deployment.serviceStatus(service);
    return comparisons.match > 0;
  });
  expect(await held()).toBeNull();
  await ask(words.clear);
  await ask(words.say('c'));
  await everythingDelivered(deployment);
  // Legacy shows what was said since; the orchestrator what was cleared, too.
  await eventually('a trip', async () => {
    expect(await ask(words.read)).not.toContain('"b"');
    return (await held()) !== null;
  });
  expect(await held()).toBe('deleted_item_seen');
});
