import { defineService } from '../../src/domain/service-definition.ts';
import { jarvisMemory } from '../../src/services/jarvis-memory.ts';

/** How far apart weights may be. */
export const WEIGHT_TOLERANCE = 0.5;

const { lanes, actions } = jarvisMemory;
const { get_memories: getMemories } = actions;
if (getMemories?.kind !== 'read' || getMemories.legacyOnly !== undefined)
  throw new Error('get_memories is no read');

/** jarvis-memory with a number that may differ a little. */
export default defineService({
  ...jarvisMemory,
  name: 'measured-memory',
  actions: {
    ...actions,
    get_memories: {
      ...getMemories,
      rules: [
        ...getMemories.rules,
        {
          kind: 'tolerance',
          path: 'memories[].memory.weight',
          within: WEIGHT_TOLERANCE,
          owner: 'bench',
          reason: 'a weight is estimated',
        },
      ],
    },
  },
  lanes: { ...lanes, sessionPrefix: 'measured:' },
});
