"""The page that ``arena.report`` fills in: one file, its style and script inside, that loads nothing from elsewhere.

Whatever comes from outside (names of agents, notes, moves) reaches the page escaped by Python, or as JSON that the
script puts into the page as text only.
"""

from __future__ import annotations

from string import Template

STYLE = """
:root { color-scheme: light dark; --line: #8886; --mark: #2a6fdb; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-weight: 600; line-height: 1.2; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th.name, td.name { text-align: left; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
.scroll { max-height: 24rem; overflow: auto; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: currentColor; }
svg .line { fill: none; stroke: var(--mark); stroke-width: 1.5; }
svg .axis { stroke: var(--line); }
svg .mark { fill: var(--mark); stroke: var(--mark); }
#viewer { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; margin: 1rem 0; }
#board { font: 1.35rem/1.5 ui-monospace, monospace; margin: 0; padding: 1rem; background: var(--soft); white-space: pre;
  border-radius: .5rem; overflow-x: auto; max-width: 100%; box-sizing: border-box; }
#board .stone { display: inline-block; position: relative; width: 1ch; color: transparent; }
#board .stone::before { content: ""; position: absolute; left: -.55ch; top: .1em; width: 2.1ch; height: 2.1ch;
  border-radius: 50%; border: 1px solid #555; box-sizing: border-box; }
#board .x::before { background: #222; } #board .o::before { background: #f4f4f4; }
#board .last::before { outline: 3px solid var(--mark); outline-offset: -1px; }
#moves { flex: 1 1 16rem; max-height: 24rem; overflow: auto; }
#moves button { font: inherit; border: 0; background: none; padding: .05rem .3rem; color: inherit; cursor: pointer; }
#moves button[aria-current] { background: var(--mark); color: #fff; border-radius: .25rem; }
.steps button { font-size: 1.1rem; padding: .1rem .7rem; }
#list td { cursor: pointer; } #list tr[aria-current] td { background: var(--soft); }
"""

SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const figures = { K: "♔", Q: "♕", R: "♖", B: "♗", N: "♘", P: "♙", k: "♚", q: "♛", r: "♜", b: "♝", n: "♞", p: "♟" };
let game = null, boards = [], ply = 0;

// A board is text. The first stands whole; each that follows is [place, text, …] of what changed, or whole.
function unfold(steps) {
  const texts = [];
  for (const step of steps) {
    if (typeof step === "string") { texts.push(step); continue; }
    const marks = Array.from(texts[texts.length - 1]);
    for (let i = 0; i < step.length; i += 2)
      Array.from(step[i + 1]).forEach((mark, k) => { marks[step[i] + k] = mark; });
    texts.push(marks.join(""));
  }
  return texts;
}

function draw(text) {
  const board = at("board");
  board.replaceChildren();
  for (const line of text.split("\\n")) {
    const stones = !/[a-wyzA-Z]/.test(line.replace(/o/g, "")) && /[xo]/.test(line);
    const pieces = /^ *\\d+[ \\[].*\\d *$/.test(line) && !/[^KQRBNPkqrbnp\\d.\\s\\[\\]]/.test(line);
    const marks = Array.from(line);
    marks.forEach((mark, i) => {
      if (stones && (mark === "x" || mark === "o"))
        board.append(make("span", mark, "stone " + mark + (marks[i - 1] === "[" ? " last" : "")));
      else if (stones && (mark === "[" || mark === "]") && /[xo]/.test(marks[mark === "[" ? i + 1 : i - 1]))
        board.append(" ");
      else board.append(pieces && figures[mark] ? figures[mark] : mark);
    });
    board.append("\\n");
  }
}

function show(number) {
  ply = Math.max(0, Math.min(number, boards.length - 1));
  draw(boards[ply]);
  const value = ply ? game.values[ply - 1] : null;
  at("said").textContent = "ply " + ply + " of " + (boards.length - 1) +
    (value === null || value === undefined ? "" : "; the mover expected " + value.toFixed(2)) +
    (ply === boards.length - 1 ? "; " + game.result + ", " + game.end : "");
  for (const button of at("moves").querySelectorAll("button")) {
    const current = Number(button.value) === ply;
    if (current) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
  }
}

function open_game(number) {
  game = data.games[number];
  boards = unfold(game.boards);
  at("players").textContent = data.agents[game.first] + " – " + data.agents[game.second] + ", opening " + game.number;
  const moves = at("moves");
  moves.replaceChildren();
  game.moves.forEach((move, i) => {
    const button = make("button", move + (i < game.opening ? "°" : ""));
    button.value = i + 1;
    button.onclick = () => show(i + 1);
    moves.append(button, " ");
  });
  for (const row of at("list").rows)
    if (Number(row.dataset.game) === number) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  location.hash = "game-" + number;
  show(game.opening);
}

function list() {
  const wanted = at("who").value;
  const body = at("list");
  body.replaceChildren();
  data.games.forEach((one, number) => {
    if (wanted !== "" && ![String(one.first), String(one.second)].includes(wanted)) return;
    const row = make("tr");
    row.dataset.game = number;
    row.append(make("td", number + 1), make("td", data.agents[one.first], "name"),
      make("td", data.agents[one.second], "name"), make("td", one.result), make("td", one.end, "name"),
      make("td", one.moves.length), make("td", one.number));
    row.onclick = () => { open_game(number); at("viewer").scrollIntoView({ block: "nearest" }); };
    body.append(row);
  });
}

data.agents.forEach((name, i) => { const option = make("option", name); option.value = i; at("who").append(option); });
at("who").onchange = list;
at("start").onclick = () => show(0);
at("back").onclick = () => show(ply - 1);
at("next").onclick = () => show(ply + 1);
at("end").onclick = () => show(boards.length - 1);
document.addEventListener("keydown", event => {
  if (event.target.tagName === "SELECT") return;
  const to = { ArrowLeft: ply - 1, ArrowRight: ply + 1, Home: 0, End: boards.length - 1 }[event.key];
  if (to !== undefined) { event.preventDefault(); show(to); }
});
list();
const linked = /^#game-(\\d+)$/.exec(location.hash);
open_game(linked && data.games[Number(linked[1])] ? Number(linked[1]) : 0);
"""

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
<p>$about</p>
$sections
<h2 id="games">Games</h2>
<p>Choose a game; step with the buttons or the arrow keys. Moves marked ° are the opening.
<select id="who" aria-label="games of"><option value="">all agents</option></select></p>
<div class="scroll"><table><thead><tr><th></th><th class="name">first</th><th class="name">second</th><th>result</th>
<th class="name">end</th><th>plies</th><th>opening</th></tr></thead><tbody id="list"></tbody></table></div>
<h3 id="players"></h3>
<div id="viewer"><div><pre id="board"></pre>
<p class="steps"><button id="start" title="to the start">⏮</button> <button id="back" title="a ply back">◀</button>
<button id="next" title="a ply on">▶</button> <button id="end" title="to the end">⏭</button>
<span id="said"></span></p></div>
<div id="moves"></div></div>
<script type="application/json" id="data">$data</script>
<script>$script</script>
</body>
</html>
""")
