import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const TURNS = 6;

interface Proved {
  readonly comparisons: Readonly<Record<'match' | 'mismatch', number>>;
  readonly lane_comparisons: Readonly<Record<'match' | 'mismatch' | 'not_comparable', number>>;
  readonly actions: Readonly<
    Record<string, Readonly<Record<'comparable' | 'whole_lanes' | 'mismatches', number>>>
  >;
}

let deployment: Deployment;
let agent: SessionAgent;

beforeAll(async () => {
  // No read is drawn: what is compared comes of the one lane a second.
  deployment = await startDeployment({
    config: { shadow: { lanePercentage: 1e-9 } },
    asked: { dualWrite: true, shadowRead: 100, readCutover: 0 },
  });
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  for (const session of ['well', 'spoilt']) {
    await agent.ask(createSession(session));
    for (let turn = 0; turn < TURNS; turn += 1) await agent.ask(addInteraction(session, `turn ${turn}`));
  }
  await everythingDelivered(deployment);
}, 120_000);

afterAll(async () => {
  agent?.close();
  await deployment?.end();
});

const proved = (): Promise<Proved> => deployment.serviceStatus<Proved>(SERVICE);

/** Asks for the newest turn alone until the lane was compared as a whole. */
async function readUntil(session: string, verdict: 'match' | 'mismatch'): Promise<Proved> {
  return eventually(`a whole lane: ${verdict}`, async () => {
    const { context } = await agent.ask({ ...getContext(session), max_tokens: 1 });
    expect(context).toHaveLength(1);
    const status = await proved();
    return status.lane_comparisons[verdict] > 0 && status;
  });
}

async function lookedUp(path: string): Promise<unknown> {
  return (await fetch(`${deployment.httpUrl}${path}`)).json();
}

async function metric(name: string, ...labels: readonly string[]): Promise<number> {
  const text = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  const found = lines.filter((line) => labels.every((label) => line.includes(label)));
  return found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('a lane that is equal on both stores is evidence for the reads of its service', async () => {
  const { lane_comparisons: lanes } = await readUntil('well', 'match');
  expect(lanes.mismatch).toBe(0);
  // The guard takes what was counted once a second.
  await eventually('it counts for get_context beside the answers', async () => {
    const { actions } = await proved();
    return (actions['get_context']?.whole_lanes ?? 0) > 0;
  });
  // The same was asked again and again, and nobody wrote: hardly more than one proof of the answer, and one of the lane.
  const { actions } = await proved();
  expect(actions['get_context']).toMatchObject({ whole_lanes: 1, mismatches: 0 });
  expect(actions['get_context']?.comparable).toBeLessThanOrEqual(4);
  expect(await lookedUp(`/v1/services/${SERVICE}/comparisons`)).toMatchObject({ whole_lanes: { lanes: 1 } });
  expect(await metric('crossfade_lane_comparisons_total', `"${SERVICE}"`, '"match"')).toBeGreaterThan(0);
  const { stdout } = await runCommand(['status', '--url', deployment.httpUrl]);
  expect(stdout).toMatch(/whole lanes +[1-9]\d* +– +0 /);
});

test('a hidden difference is found, redacted, without more requests to legacy', async () => {
  await deployment.store(
    `update memory_entries set content = jsonb_set(content, '{text}', '"never said"')
     where memory_id = (select memory_id from memory_entries
       where session_id = 'spoilt' and memory_type = 'conversation' order by position limit 1)`,
  );
  const { comparisons } = await readUntil('spoilt', 'mismatch');
  expect(comparisons.mismatch).toBe(0);
  await eventually('it counts against get_context', async () => {
    const { actions } = await proved();
    return (actions['get_context']?.mismatches ?? 0) > 0;
  });
  const found = await eventually('its signature', async () => {
    const { signatures } = (await lookedUp(`/v1/services/${SERVICE}/signatures`)) as {
      signatures: readonly Readonly<Record<string, unknown>>[];
    };
    return signatures[0];
  });
  expect(found).toMatchObject({ action: 'get_context', path: 'whole_lane[]', class: 'value' });
  expect(JSON.stringify(found)).not.toContain('never said');
  expect(await metric('crossfade_backend_calls_total', `"${SERVICE}"`, '"legacy"', '"shadow"')).toBe(0);
});

test('the evidence counts for one orchestrator version only', async () => {
  expect((await proved()).actions['get_context']?.mismatches).toBeGreaterThan(0);
  // As if another had answered in between: the one that is running is a new one then.
  await deployment.journal("insert into orchestrator_releases (version) values ('another')");
  await eventually('evidence begins anew', async () => {
    const { actions } = await proved();
    const { comparable, whole_lanes: lanes, mismatches } = actions['get_context'] ?? {};
    return comparable === 0 && lanes === 0 && mismatches === 0;
  });
});
