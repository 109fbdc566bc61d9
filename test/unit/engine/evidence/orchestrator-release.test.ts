import { afterEach, expect, test } from 'vitest';
import {
  OrchestratorRelease,
  type ReleaseStore,
} from '../../../../src/engine/evidence/orchestrator-release.ts';
import { eventually } from '../../../support/eventually.ts';

/** What any number of replicas have written down. */
function createStore(): ReleaseStore & { readonly versions: string[] } {
  const versions: string[] = [];
  return {
    versions,
    last: async () => versions.length,
    seen: async (version) => {
      if (versions.at(-1) !== version) versions.push(version);
      return versions.length;
    },
  };
}

let running: OrchestratorRelease[] = [];

afterEach(async () => {
  for (const release of running) await release.stop();
  running = [];
});

async function follow(answer: () => unknown, store: ReleaseStore): Promise<OrchestratorRelease> {
  const release = new OrchestratorRelease({
    store,
    clock: {
      now: () => 0,
      wallMs: () => 0,
      sleep: async (_ms, signal) => {
        if (signal?.aborted !== true) await new Promise((resolve) => setTimeout(resolve, 1));
      },
    },
    orchestrator: {
      read: async () => {
        const details = answer();
        if (details instanceof Error) throw details;
        return { data: { status: 'healthy', details }, text: '' };
      },
    },
  });
  running.push(release);
  await release.start();
  return release;
}

test('each change of version gets a new number, even back to an earlier version', async () => {
  let version = '1.0.0';
  const store = createStore();
  const release = await follow(() => ({ version }), store);
  await eventually('the first', () => release.number === 1);
  version = '1.1.0';
  await eventually('the second', () => release.number === 2);
  version = '1.0.0';
  await eventually('the first again', () => release.number === 3);
  expect(store.versions).toEqual(['1.0.0', '1.1.0', '1.0.0']);
});

test('an orchestrator without an answer or a version changes nothing', async () => {
  const store = createStore();
  await store.seen('1.0.0');
  let asked = 0;
  const answers: readonly unknown[] = [new Error('away'), undefined, {}, { version: 7 }];
  const release = await follow(() => answers[asked++ % answers.length], store);
  expect(release.number).toBe(1);
  await eventually('all were asked for', () => asked > answers.length);
  expect(release.number).toBe(1);
  expect(store.versions).toEqual(['1.0.0']);
});
