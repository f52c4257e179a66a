import ts from 'typescript';

/**
 * The code of each wiring in a file of marbles, by the title of its marble, so that a picture shows what was run; with
 * its options, but for the values, which are on the marbles.
 */
export function wiringsOf(code: string): Map<string, string> {
  const file = ts.createSourceFile('marbles.ts', code, ts.ScriptTarget.Latest, true);
  const named = new Map<string, ts.Expression>();
  const found = new Map<string, string>();
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.initializer) named.set(node.name.getText(), node.initializer);
    if (ts.isObjectLiteralExpression(node)) {
      const title = propertyOf(node, 'title');
      const wiring = propertyOf(node, 'wiring', named);
      const options = propertyOf(node, 'options');
      if (title && ts.isStringLiteralLike(title) && wiring) {
        found.set(title.text, [bodyOf(wiring), ...optionsOf(options)].join('\n'));
      }
    }
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

function propertyOf(
  node: ts.ObjectLiteralExpression,
  name: string,
  named?: ReadonlyMap<string, ts.Expression>,
): ts.Expression | undefined {
  for (const property of node.properties) {
    if (property.name?.getText() !== name) continue;
    const value = ts.isPropertyAssignment(property) ? property.initializer : property.name;
    return named?.get(value.getText()) ?? (value as ts.Expression);
  }
  return undefined;
}

/** What a function does, without its parameters and brackets. */
function bodyOf(wiring: ts.Expression): string {
  if (!ts.isArrowFunction(wiring)) return dedented(wiring.getText());
  if (!ts.isBlock(wiring.body)) return dedented(wiring.body.getText());
  return wiring.body.statements.map((statement) => dedented(statement.getText())).join('\n');
}

/** The first line of a piece of code has lost its indent; its last line tells how much the others have. */
function dedented(code: string): string {
  const lines = code.split('\n');
  const indent = /^ */.exec(lines.at(-1) ?? '')?.[0].length ?? 0;
  return lines.map((line, i) => (i === 0 ? line : line.slice(indent))).join('\n');
}

function optionsOf(options: ts.Expression | undefined): string[] {
  if (!options || !ts.isObjectLiteralExpression(options)) return [];
  return options.properties
    .filter((property) => property.name?.getText() !== 'values')
    .map(
      (property) =>
        `// ${property
          .getText()
          .replace(/\s*\n\s*/g, ' ')
          .replace(/, }/g, ' }')}`,
    );
}
