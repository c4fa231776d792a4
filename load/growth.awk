# Fills the tables of a page from the data files of load/growth: awk -v data=DIR -f load/growth.awk PAGE
#
# A table stands between <!-- growth NAME | COLUMN=HEADING | ... --> and <!-- end -->; it shows these columns of
# DIR/NAME.tsv and, below, how the data was made. What stood there is replaced; without the data file it is kept.

# thousands NUMBER: a whole number with commas.
function thousands(text,    out) {
    if (text !~ /^[0-9]+$/) return text == "-" ? "" : text
    while (length(text) > 3) {
        out = "," substr(text, length(text) - 2) out
        text = substr(text, 1, length(text) - 3)
    }
    return text out
}

function table(spec,    parts, n, i, at, file, line, made, name, names, values, columns, head, rule, rows, row) {
    n = split(spec, parts, / *\| */)
    file = data "/" parts[1] ".tsv"
    if ((getline line < file) <= 0) return 0
    made = substr(line, 3)
    getline line < file
    columns = split(line, names, "\t")
    for (i = 1; i <= columns; i++) at[names[i]] = i
    head = rule = "|"
    for (i = 2; i <= n; i++) {
        name[i] = substr(parts[i], 1, index(parts[i], "=") - 1)
        if (!(name[i] in at)) {
            print file ": no column " name[i] > "/dev/stderr"
            exit 1
        }
        head = head " " substr(parts[i], index(parts[i], "=") + 1) " |"
        rule = rule "--:|"
    }
    while ((getline line < file) > 0) {
        split(line, values, "\t")
        row = "|"
        for (i = 2; i <= n; i++) row = row " " thousands(values[at[name[i]]]) " |"
        rows = rows row "\n"
    }
    close(file)
    printf "\n%s\n%s\n%s\nMade by `%s.\n\n", head, rule, rows, as_code(made)
    return 1
}

# The command in the line on how the data was made is set as code.
function as_code(made,    comma) {
    comma = index(made, ", ")
    return substr(made, 1, comma - 1) "`" substr(made, comma)
}

/^<!-- growth .* -->$/ {
    print
    spec = $0
    sub(/^<!-- growth /, "", spec)
    sub(/ -->$/, "", spec)
    skipping = table(spec)
    next
}

/^<!-- end -->$/ { skipping = 0 }

!skipping
