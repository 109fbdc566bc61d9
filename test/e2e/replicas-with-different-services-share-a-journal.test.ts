import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment, type DeploymentStatus } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { startProgram, type Program } from '../support/processes.ts';
import { addInteraction, createSession, createSessionAgent, getContext } from '../support/session-agent.ts';

let deployment: Deployment;
let second: Program;
let secondUrl: string;
let secondEndpoint: string;

const CUT_OVER = { dualWrite: true, shadowRead: 0, readCutover: 100 };

/** A proxy that serves jarvis-memory alone, as beside another machine's services. */
async function startSecond(): Promise<Program> {
  const config = parse(readFileSync(deployment.configFile, 'utf8')) as Record<string, object>;
  const [http, port] = [await freePort(), await freePort()];
  const file = join(dirname(deployment.configFile), 'second.yaml');
  const legacy = {
    endpoint: deployment.direct['jarvis-memory'],
    jsonFile: join(deployment.legacyFolder, 'jarvis_memory_store.json'),
  };
  const journal = { folder: join(dirname(file), 'second') };
  const services = { 'jarvis-memory': { port, legacy } };
  writeFileSync(file, stringify({ ...config, http: { port: http }, journal, services }));
  [secondUrl, secondEndpoint] = [`http://127.0.0.1:${http}`, `tcp://127.0.0.1:${port}`];
  return startProgram(['start', '--config', file], { env: { DATABASE_URL: deployment.databaseUrl } });
}

beforeAll(async () => {
  deployment = await startDeployment({ only: ['session-memory'] });
  // What legacy held before is copied when dual writes begin.
  const past = createSessionAgent(deployment.direct['session-memory']);
  for (const request of [createSession('before'), addInteraction('before', 'hello')]) await past.ask(request);
  past.close();
  await jarvis(deployment.direct['jarvis-memory'], { action: 'add_memory', user_id: 'ann', memory: 'tea' });
  second = await startSecond();
  await deployment.ask(CUT_OVER);
  // From now on reports of two days are owed: the next look at what is due makes them.
  await deployment.journal("update schema_steps set applied_at = now() - interval '2 days'");
});

afterAll(async () => {
  await second?.stop();
  await deployment?.end();
});

async function jarvis(endpoint: string, request: object): Promise<string> {
  const agent = createAgent({ endpoint, receiveTimeoutMs: 20_000 });
  const reply = (await agent.call(JSON.stringify(request))).toString();
  agent.close();
  return reply;
}

async function serviceOf(url: string): Promise<DeploymentStatus['services'][number]> {
  const { services } = (await (await fetch(`${url}/v1/status`)).json()) as DeploymentStatus;
  expect(services).toHaveLength(1);
  const [service] = services;
  if (service === undefined) throw new Error('no service');
  return service;
}

test('each proxy covers and copies its own service without the other', async () => {
  for (const url of [deployment.httpUrl, secondUrl])
    await eventually('the lane of before is seeded', async () => {
      const { coverage, lanes } = await serviceOf(url);
      return coverage > 0 && lanes.seeded === 1;
    });
});

test('no interlock of a service waits for another service’s proxy', async () => {
  // What an interlock knows of the journal may be five seconds old.
  await eventually('both are judged, and neither waits', async () => {
    const reasons: string[] = [];
    for (const url of [deployment.httpUrl, secondUrl]) {
      const flag = (await serviceOf(url)).flags['read-cutover'] as { interlocks?: { word: string }[] };
      if (flag.interlocks === undefined) return false;
      reasons.push(...flag.interlocks.map(({ word }) => word));
    }
    return !reasons.includes('not_covered_everywhere');
  });
});

test('a killed proxy lowers no reads of another service, and finds its lanes again', async () => {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  for (const request of [createSession('s-1'), addInteraction('s-1', 'hello')]) await agent.ask(request);
  await jarvis(secondEndpoint, { action: 'add_memory', user_id: 'bob', memory: 'coffee' });
  await second.kill();
  const before = (await serviceOf(deployment.httpUrl)).reads_by.orchestrator;
  await eventually('reads come from the orchestrator', async () => {
    await agent.ask(getContext('s-1'));
    return (await serviceOf(deployment.httpUrl)).reads_by.orchestrator > before;
  });
  expect((await serviceOf(deployment.httpUrl)).fallbacks['replica_silent'] ?? 0).toBe(0);
  // Longer than a lease: now it could be taken over, were its lanes anybody's.
  await eventually('the killed one is silent', async () => {
    const [row] = await deployment.journal<{ old: boolean }>(
      "select bool_or(heartbeat_at < now() - interval '4 seconds') as old from replicas",
    );
    return row?.old === true;
  });
  await agent.ask(getContext('s-1'));
  expect((await serviceOf(deployment.httpUrl)).fallbacks['replica_silent'] ?? 0).toBe(0);
  agent.close();
  second = await startSecond();
  await eventually('everything is delivered', async () => {
    const { lanes, coverage } = await serviceOf(secondUrl);
    return coverage > 0 && lanes.total === 2 && lanes.seeded === 2 && lanes.dirty === 0;
  });
  const stored = await deployment.store<{ owner: string }>(
    'select distinct session_id as owner from memory_entries',
  );
  expect(stored.filter(({ owner }) => /ann|bob/.test(owner))).toHaveLength(2);
});

interface Reported {
  readonly services: readonly { readonly service: string; readonly next_step: object }[];
  readonly services_elsewhere: readonly string[];
}

async function reportOf(url: string, day: string): Promise<Reported> {
  return (await (await fetch(`${url}/v1/reports/${day}.json`)).json()) as Reported;
}

test('the daily report covers the services of both proxies, each once', async () => {
  const namesOf = ({ services }: Reported): string[] => services.map(({ service }) => service);
  await eventually('the newest report is of both', async () => {
    const report = await reportOf(secondUrl, 'latest');
    return 'services' in report && namesOf(report).join(' ') === 'jarvis-memory session-memory';
  });
  expect((await reportOf(deployment.httpUrl, 'latest')).services_elsewhere).toEqual([]);
  const ofToday = await reportOf(deployment.httpUrl, 'today');
  expect(namesOf(ofToday)).toEqual(['session-memory']);
  expect(ofToday.services_elsewhere).toEqual(['jarvis-memory']);
});
