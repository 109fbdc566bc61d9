import { defineService } from '../../src/domain/service-definition.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';

const { lanes, actions } = sessionMemory;
const { get_context: getContext } = actions;
if (getContext?.kind !== 'read' || getContext.legacyOnly !== undefined)
  throw new Error('get_context is no read');

/** session-memory whose contexts are search answers: judged by how alike the rankings are. */
export default defineService({
  ...sessionMemory,
  name: 'ranked-memory',
  actions: {
    ...actions,
    get_context: {
      ...getContext,
      rules: [
        ...getContext.rules,
        { kind: 'ranking', path: 'context', key: 'content', owner: 'bench', reason: 'stands for a search' },
      ],
    },
  },
  lanes: { ...lanes, sessionPrefix: 'ranked:' },
});
