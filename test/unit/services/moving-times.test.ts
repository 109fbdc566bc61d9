import { expect, test } from 'vitest';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';

test.each([sessionMemory, contextualMemory, jarvisMemory])(
  'the definition of $name says that times may change when reads move',
  ({ unmapped }) => {
    const said = unmapped.filter(({ what }) => what.startsWith('timestamps of '));
    expect(said.map(({ reason }) => reason)).toEqual([expect.stringContaining('when its reads move')]);
  },
);
