import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

const words = (most: number) => Type.String({ minLength: 1, maxLength: most, pattern: '\\S' });

/** Who changes something, and why. With a token the name is the token's. */
export const ByPersonSchema = { person: words(200), reason: words(500) };

const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';

export const OfOperation = Type.Object({ operation: Type.String({ pattern: UUID }) });

export const LedgerQuerystring = Type.Object(
  {
    service: Type.Optional(Type.String()),
    state: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('ended'), Type.Literal('all')])),
    limit: Type.Optional(Type.String({ pattern: '^([1-9]\\d{0,2}|1000)$' })),
  },
  { additionalProperties: false },
);

interface Mistake {
  readonly instancePath: string;
  readonly message: string;
}

/** Routes of this scope are checked by TypeBox schemas, and what is wrong is said in one sentence. */
export function checkBySchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(({ schema }) => {
    const checker = Compile(schema as Type.TSchema);
    return (value) => {
      if (checker.Check(value)) return { value };
      const [mistake] = [...checker.Errors(value)] as Mistake[];
      return { error: new Error(`${mistake?.instancePath.slice(1) ?? ''} ${mistake?.message ?? ''}`.trim()) };
    };
  });
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) throw error;
    return reply.code(status).send({ error: 'invalid_request', message: error.message });
  });
}
