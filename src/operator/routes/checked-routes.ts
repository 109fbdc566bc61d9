import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

const NOT_BLANK = '\\S';
const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
export const LIMIT = '^([1-9]\\d{0,2}|1000)$';
/** The number of an added entry. */
export const NUMBER = '^\\d{1,9}$';
export const OFFSET = '^\\d{1,6}$';

/** What each pattern requires, in words. */
const SAYINGS: Readonly<Record<string, string>> = {
  [NOT_BLANK]: 'must not be blank',
  [UUID]: 'must be an operation id as shown in the list',
  [LIMIT]: 'must be a whole number from 1 to 1000',
  [NUMBER]: 'must be a number as shown in the list',
  [OFFSET]: 'must be a whole number from 0 to 999999',
};

const words = (most: number) => Type.String({ minLength: 1, maxLength: most, pattern: NOT_BLANK });

/** The person who makes a change, and the reason. With a token the name is the token's. */
export const ByPersonSchema = { person: words(200), reason: words(500) };

export const OfOperation = Type.Object({ operation: Type.String({ pattern: UUID }) });

export const LedgerQuerystring = Type.Object(
  {
    service: Type.Optional(Type.String()),
    state: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('ended'), Type.Literal('all')])),
    limit: Type.Optional(Type.String({ pattern: LIMIT })),
  },
  { additionalProperties: false },
);

export const AuditQuerystring = Type.Object(
  {
    service: Type.Optional(Type.String()),
    person: Type.Optional(Type.String({ maxLength: 200 })),
    command: Type.Optional(Type.String({ maxLength: 100 })),
    limit: Type.Optional(Type.String({ pattern: LIMIT })),
    before: Type.Optional(Type.String({ pattern: NUMBER })),
  },
  { additionalProperties: false },
);

interface Mistake {
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/** Messages for members that are missing. */
export const MISSING: Readonly<Record<string, string>> = {
  person: 'person is missing: give your name (--person on the command line), or send a token',
  reason: 'reason is missing: every change needs a reason (--reason on the command line)',
};

function sayingOf({ instancePath, message, params }: Mistake): string {
  const missing = 'requiredProperties' in params ? (params.requiredProperties as readonly string[]) : [];
  const [saying] = missing.flatMap((name) => MISSING[name] ?? []);
  if (saying !== undefined) return saying;
  const pattern = 'pattern' in params ? String(params.pattern) : '';
  return `${instancePath.slice(1)} ${SAYINGS[pattern] ?? message}`.trim();
}

/** Routes of this scope are checked by TypeBox schemas. An error names the first problem in one sentence. */
export function checkBySchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(({ schema }) => {
    const checker = Compile(schema as Type.TSchema);
    return (value) => {
      if (checker.Check(value)) return { value };
      const [mistake] = checker.Errors(value) as Mistake[];
      return { error: new Error(mistake === undefined ? 'is not valid' : sayingOf(mistake)) };
    };
  });
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) throw error;
    return reply.code(status).send({ error: 'invalid_request', message: error.message });
  });
}
