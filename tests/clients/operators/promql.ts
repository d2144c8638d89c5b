/** What an expression of Prometheus asks for, by the grammar that Prometheus' own page uses. */

import { parser } from '@prometheus-io/lezer-promql';

/** A metric, and what is asked of its labels. */
export interface Selector {
  metric: string;
  /** Each value that a matcher names; those of `a|b` are two. */
  matchers: { label: string; value: string }[];
}

export interface Expression {
  selectors: Selector[];
  /** The labels of `by`, `on`, `without` and `ignoring`. */
  grouping: string[];
}

/** Throws where the text is not PromQL. Knows the syntax, not the types: promtool would say more. */
export function parse(text: string): Expression {
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  const of = ({ from, to }: { from: number; to: number }) => text.slice(from, to);
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) throw new SyntaxError(`not PromQL at ${node.from}: ${text}`);
      const [label, value] = [node.node.getChild('LabelName'), node.node.getChild('StringLiteral')];
      if (node.name === 'VectorSelector') {
        const metric = node.node.getChild('Identifier');
        if (!metric) throw new SyntaxError(`a selector without the name of its metric: ${of(node)}`);
        selectors.push({ metric: of(metric), matchers: [] });
      } else if (node.name === 'UnquotedLabelMatcher') {
        const values = (JSON.parse(of(value!)) as string).split('|');
        for (const one of values) selectors.at(-1)!.matchers.push({ label: of(label!), value: one });
      } else if (node.name === 'GroupingLabels') {
        grouping.push(...node.node.getChildren('LabelName').map(of));
      }
    },
  });
  return { selectors, grouping };
}
