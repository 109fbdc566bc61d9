import { expect, test } from 'vitest';
import { GroupCommit } from '../../../src/storage/journal/group-commit.ts';

const MIB = 1024 * 1024;

/** Batches as they were flushed, of entries that are their own sizes. */
function createCommits() {
  const batches: (readonly number[])[] = [];
  const commits = new GroupCommit<number, number>({
    flush: async (batch) => {
      batches.push(batch);
      return batch;
    },
    keyOf: () => undefined,
    isUrgent: () => true,
    lingerMs: 0,
    sizeOf: (size) => size,
  });
  return { commits, batches };
}

/** The first begins a flush; the others come while that is under way. */
async function addAll(commits: GroupCommit<number, number>, [first = 0, ...others]: readonly number[]) {
  const added = [commits.add(first)];
  await Promise.resolve();
  return Promise.all([...added, ...others.map((size) => commits.add(size))]);
}

test('entries that follow from one answer share a flush', async () => {
  const { commits, batches } = createCommits();
  await Promise.all([3, 1, 2].map((size) => commits.add(size)));
  expect(batches).toEqual([[3, 1, 2]]);
});

test('entries that arrive during a flush share the next one, up to 8 MiB', async () => {
  const { commits, batches } = createCommits();
  const sizes = [1, 4 * MIB, 3 * MIB, 4 * MIB, MIB, 2];
  expect(await addAll(commits, sizes)).toEqual(sizes);
  expect(batches).toEqual([[1], [4 * MIB, 3 * MIB, MIB], [4 * MIB, 2]]);
});

test('a larger entry is flushed alone, and does not block later entries forever', async () => {
  const { commits, batches } = createCommits();
  const sizes = [1, 20 * MIB, 5, 30 * MIB];
  expect(await addAll(commits, sizes)).toEqual(sizes);
  expect(batches).toEqual([[1], [20 * MIB], [5], [30 * MIB]]);
});

test('earlier entries are flushed in the end, even under a steady load', async () => {
  const flushed: number[] = [];
  let isLoaded = true;
  const commits = new GroupCommit<number, undefined>({
    async flush(batch) {
      await new Promise((resolve) => setTimeout(resolve, 3));
      flushed.push(...batch);
      // Before it ends the next have come.
      if (isLoaded) void commits.add(0);
      return [];
    },
    keyOf: () => undefined,
    isUrgent: () => true,
    lingerMs: 0,
  });
  void commits.add(1);
  void commits.add(2);
  await commits.flushed();
  expect(flushed).toEqual(expect.arrayContaining([1, 2]));
  isLoaded = false;
  await commits.drain();
  await commits.flushed();
});

test('entries with the same key are in successive flushes, in order of arrival', async () => {
  const batches: string[] = [];
  const commits = new GroupCommit<string, string>({
    flush: async (batch) => {
      batches.push(batch.join(' '));
      return batch;
    },
    keyOf: (entry) => (entry.startsWith('-') ? undefined : entry.slice(0, 1)),
    isUrgent: () => true,
    lingerMs: 0,
    // The second entry of `a` has no room in the first flush; the third one would.
    sizeOf: (entry) => (entry === 'b2' ? 8 * MIB : 0),
  });
  await Promise.all(['a1', 'b1', 'a2', '-', 'a3', 'b2', 'b3'].map((entry) => commits.add(entry)));
  expect(batches).toEqual(['a1 b1 -', 'a2 b2', 'a3 b3']);
});

test('an entry does not overtake an earlier one of its key that has no room', async () => {
  const batches: string[] = [];
  const commits = new GroupCommit<string, string>({
    flush: async (batch) => {
      batches.push(batch.join(' '));
      return batch;
    },
    keyOf: (entry) => entry.slice(0, 1),
    isUrgent: () => true,
    lingerMs: 0,
    sizeOf: (entry) => (entry === 'a1' ? 8 * MIB : 1),
  });
  const first = commits.add('b1');
  await Promise.resolve();
  await Promise.all([first, ...['c1', 'a1', 'a2'].map((entry) => commits.add(entry))]);
  expect(batches).toEqual(['b1', 'c1', 'a1', 'a2']);
});
