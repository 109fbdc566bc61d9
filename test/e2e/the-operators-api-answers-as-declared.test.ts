import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressOf, type CallOf, type Endpoint } from '../../src/operator/api/endpoint.ts';
import { ENDPOINTS } from '../../src/operator/api/endpoints.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { addInteraction, createSession, createSessionAgent, getContext } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SIGNAL_TOKEN = 'a-token-for-signals';
const GUARD = { mode: 'enforce', coolDownSeconds: 0, signalToken: SIGNAL_TOKEN };
const COPIES = { copies: { concurrency: 2, automatic: false } };
/** The orchestrator takes at most 1 MiB of content. */
const TOO_LONG = 'x'.repeat(1_100_000);
const BY = { person: 'ann', reason: 'a test' };
const OF_SERVICE = { params: { service: SERVICE } };

let desk: DeskDeployment;
const called = new Set<Endpoint>();

/** The same schema without room for members that it does not declare. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  const isOpen = members['type'] !== 'object' || 'additionalProperties' in members;
  return isOpen || 'patternProperties' in members ? members : { ...members, additionalProperties: false };
}

/** Calls the API over HTTP, and checks the answer by its schema, down to unknown members. */
async function call(endpoint: Endpoint, sent: CallOf<Endpoint>, token = ''): Promise<unknown> {
  const { method, path, answer } = endpoint;
  const response = await fetch(`${desk.deployment.httpUrl}${addressOf(endpoint, sent)}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    ...(method === 'POST' && { body: JSON.stringify(sent.body) }),
  });
  const text = await response.text();
  expect(response.status, `${path}: ${text}`).toBe(200);
  called.add(endpoint);
  if ('document' in answer) {
    expect(response.headers.get('content-type')).toContain(answer.document.split(';')[0]);
    return text;
  }
  const value: unknown = JSON.parse(text);
  const errors = Compile(closed(answer.json) as TSchema).Errors(value);
  expect([...errors].slice(0, 3), `${method} ${path}`).toEqual([]);
  return value;
}

const ask = <E extends Endpoint>(endpoint: E, sent: CallOf<E>): Promise<unknown> =>
  call(endpoint, sent as CallOf<Endpoint>);

async function runOf(answer: Promise<unknown>): Promise<string> {
  const { run } = (await answer) as { run: number };
  const params = { run: String(run) };
  await eventually(`the end of run ${run}`, async () => {
    const { state } = (await ask(ENDPOINTS.showRun, { params })) as { state: string };
    return state !== 'listing' && state !== 'running';
  });
  return params.run;
}

beforeAll(async () => {
  desk = await startDesk({ guard: GUARD, ...COPIES });
  const { deployment } = desk;
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
  const agent = createSessionAgent(deployment.endpoints[SERVICE]);
  for (const session of ['fine', 'altered', 'refused']) {
    await agent.ask(createSession(session));
    await agent.ask(addInteraction(session, 'hello'));
    await agent.ask(getContext(session));
  }
  await agent.ask(addInteraction('refused', TOO_LONG));
  agent.close();
  const past = createSessionAgent(deployment.direct[SERVICE]);
  await past.ask(addInteraction('altered', 'past the proxy'));
  past.close();
}, 180_000);
afterAll(() => desk?.deployment.end());

test('the check finds a member that no schema declares', () => {
  const check = Compile(closed(ENDPOINTS.listLanes.answer.json) as TSchema);
  expect(check.Check({ service: SERVICE, lanes: [] })).toBe(true);
  expect(check.Check({ service: SERVICE, lanes: [], more: 1 })).toBe(false);
});

test('reads of the whole proxy answer as declared', async () => {
  for (const endpoint of [
    ENDPOINTS.showLiveness,
    ENDPOINTS.showReadiness,
    ENDPOINTS.showMetrics,
    ENDPOINTS.showOpenApi,
    ENDPOINTS.showStatus,
    ENDPOINTS.listFlags,
    ENDPOINTS.showGuard,
    ENDPOINTS.listMinutes,
    ENDPOINTS.showConsistency,
    ENDPOINTS.listUnknownOutcomes,
    ENDPOINTS.listLost,
    ENDPOINTS.listReports,
    ENDPOINTS.listAgents,
  ])
    await ask(endpoint, {});
  await ask(ENDPOINTS.showReport, { params: { report: 'today' } });
});

test('reads of one service answer as declared', async () => {
  for (const endpoint of [
    ENDPOINTS.listLanes,
    ENDPOINTS.listDifferences,
    ENDPOINTS.showComparisons,
    ENDPOINTS.listSignatures,
    ENDPOINTS.showHistory,
    ENDPOINTS.showLive,
  ])
    await ask(endpoint, OF_SERVICE);
  await ask(ENDPOINTS.listRules, { query: { service: SERVICE } });
  await eventually('a judgement', async () => {
    const { services } = (await ask(ENDPOINTS.showStatus, {})) as { services: { actions?: object }[] };
    return services[0]?.actions !== undefined;
  });
  await ask(ENDPOINTS.checkRaise, { params: { service: SERVICE, flag: 'read-cutover' } });
  await ask(ENDPOINTS.explain, { params: { service: SERVICE, subject: 'fine' } });
});

test('a dead letter and its decisions are answered as declared', async () => {
  const letter = await eventually('a dead letter', async () => {
    const answer = await ask(ENDPOINTS.listDeadLetters, {});
    return (answer as { dead_letters: { operation_id: string }[] }).dead_letters[0];
  });
  const params = { operation: letter.operation_id };
  await ask(ENDPOINTS.showDeadLetter, { params });
  await ask(ENDPOINTS.explain, { params: { service: SERVICE, subject: letter.operation_id } });
  await ask(ENDPOINTS.skipDeadLetter, { params, body: BY });
});

test('a run, its findings, its repair and its undo are answered as declared', async () => {
  const body = { ...BY, kind: 'reconcile' as const, service: SERVICE };
  await ask(ENDPOINTS.rehearseRun, { body: { ...body, kind: 'backfill' } });
  const params = { run: await runOf(ask(ENDPOINTS.beginRun, { body })) };
  await ask(ENDPOINTS.listRuns, {});
  const { divergences } = (await ask(ENDPOINTS.listDivergences, { params })) as { divergences: object[] };
  expect(divergences).not.toEqual([]);
  await ask(ENDPOINTS.planRepair, { params });
  const limits = { limit_items: 100, limit_share: 1 };
  const repair = await runOf(ask(ENDPOINTS.applyRepair, { params, body: { ...BY, ...limits } }));
  await ask(ENDPOINTS.undoRepair, { params: { run: repair }, body: BY });
});

test('changes of flags, rules, lanes and the guard are answered as declared', async () => {
  const flag = `crossfade.${SERVICE}.shadow-read`;
  await ask(ENDPOINTS.setFlag, { params: { flag }, body: { ...BY, share: 50, was: 100 } });
  const expires = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const rule = { action: 'get_context', kind: 'set', path: 'context', owner: 'ann', reason: 'why', expires };
  await ask(ENDPOINTS.tryRules, { body: { service: SERVICE, rules: [rule] } });
  const { added } = (await ask(ENDPOINTS.addRules, {
    body: { ...BY, service: SERVICE, rules: [rule] },
  })) as { added: number[] };
  await ask(ENDPOINTS.listRules, { query: { service: SERVICE } });
  await ask(ENDPOINTS.removeRule, { params: { rule: String(added[0]) }, body: BY });
  await ask(ENDPOINTS.copyLane, { ...OF_SERVICE, body: { ...BY, owner: 'fine' } });
  await ask(ENDPOINTS.acceptSubject, { body: { ...BY, service: SERVICE, subject: 'action:get_context' } });
  await call(ENDPOINTS.signalGuard, { body: { ...BY, service: SERVICE } } as CallOf<Endpoint>, SIGNAL_TOKEN);
  const bundle = await eventually('a bundle', async () => {
    const { bundles } = (await ask(ENDPOINTS.listBundles, {})) as { bundles: { bundle: number }[] };
    return bundles[0]?.bundle;
  });
  await ask(ENDPOINTS.showBundle, { params: { bundle: String(bundle) } });
  await ask(ENDPOINTS.showGuard, {});
  await ask(ENDPOINTS.showStatus, {});
  await ask(ENDPOINTS.releaseLatch, { body: { ...BY, service: SERVICE, even_so: true } });
  await ask(ENDPOINTS.listAudit, {});
});

test('most endpoints were called, each with an answer that its schema declares', () => {
  expect(called.size).toBeGreaterThan(40);
});
