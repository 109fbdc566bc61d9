import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';

interface RunResult {
  readonly state: string;
  readonly reason: string;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const BY = ['--person', 'ann', '--reason', 'a test'];
const LANES = 30;
const FILES = {
  'jarvis-memory': 'jarvis_memory_store.json',
  'contextual-memory': 'contextual_memory_store.json',
} as const;
type Service = keyof typeof FILES;
const SERVICES = Object.keys(FILES) as readonly Service[];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    config: { copies: { concurrency: 2, automatic: false } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
  const [jarvis, contextual] = SERVICES.map((service) =>
    createAgent({ endpoint: deployment.direct[service] }),
  );
  for (let lane = 0; lane < LANES; lane += 1) {
    await jarvis?.call(
      JSON.stringify({ action: 'add_memory', user_id: `u${lane}`, memory: `memory ${lane}` }),
    );
    const said = { action: 'add_interaction', session_id: `c${lane}`, type: 'user_query', content: 'hello' };
    await contextual?.call(JSON.stringify(said));
  }
  jarvis?.close();
  contextual?.close();
});

afterAll(() => deployment?.end());

async function run(kind: 'backfill' | 'reconcile', service: Service) {
  const args = [kind, '--service', service, '--json', '--url', deployment.httpUrl, ...BY];
  const result = await runCommand(args);
  return { code: result.code, ...resultOf<RunResult>(result) };
}

const fileOf = (service: Service): string => join(deployment.legacyFolder, FILES[service]);

const stored = (): Promise<readonly object[]> =>
  deployment.store('select memory_id, content, is_active from memory_entries order by memory_id');

const uneasy = (): Promise<readonly object[]> =>
  deployment.journal(
    `select key as lane, condition from lanes where condition <> 'clean'
     union all select service, 'lost' from lost_items union all select service, 'divergent' from divergences`,
  );

/** As a service that rewrites its file in place: half of it stands there for a while, again and again. */
async function rewriting<Result>(service: Service, work: () => Promise<Result>): Promise<Result> {
  const whole = readFileSync(fileOf(service));
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  let isOver = false;
  const rewriter = (async () => {
    while (!isOver) {
      writeFileSync(fileOf(service), half);
      await sleep(100);
      writeFileSync(fileOf(service), whole);
      await sleep(400);
    }
  })();
  try {
    return await work();
  } finally {
    isOver = true;
    await rewriter;
  }
}

describe.each(SERVICES)('the file of %s', (service) => {
  test('a backfill and a reconciliation that find it half-written once miss nothing', async () => {
    const backfilled = await rewriting(service, () => run('backfill', service));
    expect(backfilled).toMatchObject({
      code: 0,
      state: 'finished',
      services: { [service]: { lanes: LANES, items_copied: LANES, lanes_left: 0 } },
    });
    const reconciled = await rewriting(service, () => run('reconcile', service));
    expect(reconciled).toMatchObject({ code: 0, services: { [service]: { lanes_equal: LANES } } });
    expect(await uneasy()).toEqual([]);
  });

  test.each([
    ['half-written', (whole: Buffer) => whole.subarray(0, Math.floor(whole.length / 2))],
    ['empty', (whole: Buffer) => whole.subarray(0, 0)],
  ])('while it stays %s, runs leave it out with the reason, and forget nothing', async (_name, cut) => {
    const [whole, before] = [readFileSync(fileOf(service)), await stored()];
    writeFileSync(fileOf(service), cut(whole));
    for (const kind of ['backfill', 'reconcile'] as const)
      expect(await run(kind, service)).toMatchObject({
        code: 2,
        state: 'finished',
        reason: expect.stringMatching(
          new RegExp(
            `^${service} was left out: could not read \\S+ .*the file is empty or its JSON is incomplete$`,
          ),
        ) as string,
      });
    expect(await stored()).toEqual(before);
    expect(await uneasy()).toEqual([]);
    writeFileSync(fileOf(service), whole);
    expect(await run('reconcile', service)).toMatchObject({
      code: 0,
      services: { [service]: { lanes_equal: LANES } },
    });
  });
});
