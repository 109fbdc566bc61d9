import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createAgent } from '../../../src/sandbox/agent.ts';
import { createJarvisMemory } from '../../../src/sandbox/jarvis-memory.ts';
import { createStandIns } from '../../../src/sandbox/stand-ins.ts';
import { freePorts } from '../../support/ports.ts';
import { createPlayground } from './playground.ts';

const READ = { action: 'get_memories' };
const ADD = { action: 'add_memory', memory: 'm' };
const EMPTY = '{"status": "ok", "memories": []}';

test('all three answer from one process, and stop together', async () => {
  await using play = createPlayground();
  const { dataFolder } = play;
  const [port = 0, healthPort = 0, contextual = 0, jarvis = 0] = await freePorts(4);
  const standIns = createStandIns({
    'session-memory': { port, healthPort, dataFolder },
    'contextual-memory': { port: contextual, dataFolder },
    'jarvis-memory': { port: jarvis, dataFolder },
  });
  await standIns.start();
  for (const each of [port, healthPort, contextual]) {
    const agent = createAgent({ endpoint: `tcp://127.0.0.1:${each}` });
    expect(JSON.parse(await play.ask(agent, { action: 'health_check' }))).toMatchObject({ status: 'ok' });
    agent.close();
  }
  const agent = createAgent({ endpoint: `tcp://127.0.0.1:${jarvis}`, receiveTimeoutMs: 2_000 });
  expect(await play.ask(agent, READ)).toBe(EMPTY);
  await standIns.stop();
  await expect(play.ask(agent, READ)).rejects.toThrow('No reply');
  agent.close();
});

test('none comes up when one cannot', async () => {
  await using play = createPlayground();
  const { dataFolder } = play;
  const [port = 0, taken = 0] = await freePorts(2);
  await play.start(createJarvisMemory({ port: taken, dataFolder }));
  const settings = {
    'contextual-memory': { port, dataFolder },
    'jarvis-memory': { port: taken, dataFolder },
  };
  await expect(createStandIns(settings).start()).rejects.toThrow('Address already in use');
  await play.start(createJarvisMemory({ port, dataFolder }));
});

test('an agent that missed a reply is dead; the service and other agents continue', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const standIn = await play.start(createJarvisMemory({ port, dataFolder: play.dataFolder }));
  const agent = play.connect(standIn, 2_000);
  expect(await play.ask(agent, READ)).toBe(EMPTY);
  standIn.setFaults({ hang: 'after_effect' });
  await expect(play.ask(agent, ADD)).rejects.toThrow('No reply');
  standIn.setFaults({});
  await expect(play.ask(agent, READ)).rejects.toThrow('missed a reply');
  expect(JSON.parse(await play.ask(play.connect(standIn), READ))).toMatchObject({
    memories: [{ memory: 'm' }],
  });
});

test('a service that hangs before the effect executes the request later', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const standIn = await play.start(createJarvisMemory({ port, dataFolder: play.dataFolder }));
  standIn.setFaults({ hang: 'before_effect' });
  const reply = play.ask(play.connect(standIn), ADD);
  await new Promise((resolve) => setTimeout(resolve, 50));
  standIn.setFaults({});
  expect(await reply).toBe('{"status": "ok"}');
});

test('a delay holds up every request, one after the other', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const faults = { delayMs: 60 };
  const standIn = await play.start(createJarvisMemory({ port, dataFolder: play.dataFolder, faults }));
  const startedMs = performance.now();
  await Promise.all([1, 2, 3].map(() => play.ask(play.connect(standIn), READ)));
  expect(performance.now() - startedMs).toBeGreaterThan(170);
});

test('the command says when it is ready and ends with its parent or on SIGTERM', async () => {
  await using play = createPlayground();
  const stopWays: ((child: ChildProcess) => void)[] = [
    (child) => child.kill('SIGTERM'),
    (child) => child.disconnect(),
  ];
  for (const stop of stopWays) {
    const [port = 0] = await freePorts(1);
    const args = ['--data', play.dataFolder, '--service', 'jarvis-memory', '--jarvis-port', String(port)];
    const script = fileURLToPath(new URL('stand-ins-process.ts', import.meta.url));
    const child = fork(script, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    expect(await once(child, 'message')).toContainEqual({ type: 'ready' });
    const agent = createAgent({ endpoint: `tcp://127.0.0.1:${port}` });
    expect(await play.ask(agent, READ)).toBe(EMPTY);
    agent.close();
    const [exited, printed] = [once(child, 'exit'), child.stdout && once(child.stdout, 'end')];
    stop(child);
    expect(await exited).toEqual([0, null]);
    await printed;
    expect(JSON.parse(output)).toEqual({ ready: true, pid: child.pid, ports: { 'jarvis-memory': port } });
  }
});
