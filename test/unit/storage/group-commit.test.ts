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

test('what came while a flush was under way shares the next, as far as 8 MiB', async () => {
  const { commits, batches } = createCommits();
  const sizes = [1, 4 * MIB, 3 * MIB, 4 * MIB, MIB, 2];
  const results = await Promise.all(sizes.map((size) => commits.add(size)));
  expect(results).toEqual(sizes);
  expect(batches).toEqual([[1], [4 * MIB, 3 * MIB, MIB], [4 * MIB, 2]]);
});

test('one that is larger than that goes alone, and holds up nobody behind it for ever', async () => {
  const { commits, batches } = createCommits();
  const sizes = [1, 20 * MIB, 5, 30 * MIB];
  expect(await Promise.all(sizes.map((size) => commits.add(size)))).toEqual(sizes);
  expect(batches).toEqual([[1], [20 * MIB], [5], [30 * MIB]]);
});
