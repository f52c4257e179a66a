import ts from 'typescript';

/**
 * The code of each wiring in a file of marbles, by the title of its marble, so that a picture shows what was run: with
 * the constants that it uses, and its options, but for the values, which are on the marbles.
 */
export function wiringsOf(code: string): Map<string, string> {
  const file = ts.createSourceFile('marbles.ts', code, ts.ScriptTarget.Latest, true);
  const constants = constantsOf(file);
  const found = new Map<string, string>();
  const visit = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) {
      const title = propertyOf(node, 'title');
      const given = propertyOf(node, 'wiring');
      if (title && ts.isStringLiteralLike(title) && given) {
        const wiring = constants.get(given.getText()) ?? given;
        const lines = [
          ...usedBy(wiring, constants),
          bodyOf(wiring),
          ...optionsOf(propertyOf(node, 'options')),
        ];
        found.set(title.text, lines.join('\n'));
      }
    }
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

function constantsOf(file: ts.SourceFile): Map<string, ts.Expression> {
  const declarations = file.statements
    .filter(ts.isVariableStatement)
    .flatMap((s) => s.declarationList.declarations);
  return new Map(
    declarations.flatMap(({ name, initializer }) => (initializer ? [[name.getText(), initializer]] : [])),
  );
}

function usedBy(wiring: ts.Expression, constants: ReadonlyMap<string, ts.Expression>): string[] {
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && constants.has(node.text)) used.add(node.text);
    node.forEachChild(visit);
  };
  visit(wiring);
  return [...used].map((name) => `const ${name} = ${dedented(constants.get(name)!.getText())};`);
}

function propertyOf(node: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  const property = node.properties.find((candidate) => candidate.name?.getText() === name);
  return property && ts.isPropertyAssignment(property) ? property.initializer : undefined;
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
    .map((property) => `// ${property.getText().replace(/\s+/g, ' ').replace(/, }/g, ' }')}`);
}
