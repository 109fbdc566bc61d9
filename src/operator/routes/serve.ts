import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { AnswerOf, AskedOf, Endpoint } from '../api/endpoint.ts';
import { LIMIT, NOT_BLANK, NUMBER, OFFSET, UUID } from '../api/schemas.ts';
import { answered } from '../refusal.ts';

/** What each pattern requires, in words. */
const SAYINGS: Readonly<Record<string, string>> = {
  [NOT_BLANK]: 'must not be blank',
  [UUID]: 'must be an operation id as shown in the list',
  [LIMIT]: 'must be a whole number from 1 to 1000',
  [NUMBER]: 'must be a number as shown in the list',
  [OFFSET]: 'must be a whole number from 0 to 999999',
};

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

/** The whole request and its reply, for handlers that read a header or send a document. */
interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Registers a route. Its answer is what the endpoint declares, or it does not compile. An error of the schemas names the first
 * problem in one sentence. The answer is sent as it is: no schema strips or checks its members.
 */
export function serve<E extends Endpoint>(
  app: FastifyInstance,
  endpoint: E,
  handler: (asked: AskedOf<E>, exchange: Exchange) => AnswerOf<E> | Promise<AnswerOf<E>>,
): void {
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    ...(endpoint.checkedBy === undefined && checksOf(endpoint)),
    handler: (request, reply) =>
      answered(reply, async () => {
        const { params, query, body } = request;
        // The schemas, or the handler itself, have checked what is typed here.
        return (await handler({ params, query, body } as AskedOf<E>, { request, reply })) as object | string;
      }),
  });
}

type Checks = Pick<RouteShorthandOptions, 'schema' | 'validatorCompiler' | 'errorHandler'>;

function checksOf({ params, query, body }: Endpoint): Checks {
  return {
    schema: {
      ...(params !== undefined && { params }),
      ...(query !== undefined && { querystring: query }),
      ...(body !== undefined && { body }),
    },
    validatorCompiler: ({ schema }) => {
      const checker = Compile(schema as TSchema);
      return (value) => {
        if (checker.Check(value)) return { value };
        const [mistake] = checker.Errors(value) as Mistake[];
        return { error: new Error(mistake === undefined ? 'is not valid' : sayingOf(mistake)) };
      };
    },
    errorHandler: (error: Error & { readonly statusCode?: number }, _request, reply) => {
      const status = error.statusCode ?? 500;
      if (status >= 500) throw error;
      return reply.code(status).send({ error: 'invalid_request', message: error.message });
    },
  };
}
