# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cowherd_global_optspecs
    string join \n read-only allow= color= ascii q/quiet v/verbose h/help V/version
end

function __fish_cowherd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cowherd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cowherd_using_subcommand
    set -l cmd (__fish_cowherd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cowherd -n "__fish_cowherd_needs_command" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_needs_command" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_needs_command" -l read-only -d 'Look only: the terminal interface offers nothing that changes an image'
complete -c cowherd -n "__fish_cowherd_needs_command" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_needs_command" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_needs_command" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_needs_command" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_needs_command" -s V -l version -d 'Print version'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "tree" -d 'Show the forest as text'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "figure" -d 'Draw the forest as boxes and arrows'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "info" -d 'Say what an image is'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "map" -d 'List which part of a view comes from where'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "check" -d 'Count every reference of an image, and repair what is wrong if asked to'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "compare" -d 'Compare two views as a guest sees them'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "diff" -d 'List where a view is not what an older one is'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "cat" -d 'Write a view\'s bytes to standard output'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "serve" -d 'Let others read a view as a disk: a read-only NBD server'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "measure" -d 'Say how large a view would become as a file of its own: exactly if nothing is compressed, at most otherwise'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "create" -d 'Make a new image'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "resize" -d 'Make the disk of an image longer or shorter'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "recover" -d 'Finish, or undo, what was interrupted'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "commit" -d 'Merge an image, and the layers between, down into a layer below it'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "pull" -d 'Merge the layers below up into an image'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "rebase" -d 'Base an image on another one, or on nothing; no view changes'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "overlay" -d 'External snapshot: a new, empty image on top of another one'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "rename" -d 'Give an image another name, also in the images based on it'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "delete" -d 'Take one layer out of its chain; what is based on it reads as before'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "revert" -d 'Throw the changes of an overlay away: back to the external snapshot'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "compact" -d 'Give what is free in an image back to the host, in place; no view changes'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "convert" -d 'Make an image one of another format in place, without a copy of the disk; no view changes'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "export" -d 'Write a view, or what differs between two views, into an image of its own'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "import" -d 'Make one image of a chain of files: what each layer shows becomes an internal snapshot'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "snapshot" -d 'Internal snapshots'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "cleanup" -d 'Take what is not needed out of a herd, by the cheapest safe way; no other view changes'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "trash" -d 'What operations moved to the trash: list it, bring it back, delete it for good'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "demo" -d 'Build a sample herd and open the terminal interface on it'
complete -c cowherd -n "__fish_cowherd_needs_command" -a "help" -d 'Explain a command or a topic: hazards, exit-codes, keys'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -l space -d 'Also count the bytes that only one image or snapshot holds'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -l json -d 'One JSON document with the whole model'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand tree" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand figure" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -l chain -d 'Everything below it too, the image itself first'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -l json -d 'One JSON document with qemu-img\'s keys'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand info" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l layer -d 'This image alone, without its backing files'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l json -d 'A JSON array with qemu-img\'s keys'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand map" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s r -d 'Repair: space that counts as used and is not (leaks), or everything that can be (all)' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -l json -d 'One JSON document'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand compare" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l unread -d 'Read no data: what lies in two places counts as different'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l json -d 'A JSON array of ranges'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l offset -d 'Where to begin' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l length -d 'How many bytes; to the end by default' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand cat" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l socket -d 'Listen on a Unix socket at PATH, which must not exist' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l tcp -d 'Listen on a TCP port; without ADDR only for this host' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l name -d 'Call the export N as well; without a name it is the one that clients get who ask for none' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l max-clients -d 'How many clients there may be at once; further ones are turned away' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l layer -d 'This image alone, without its backing files'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l size -d 'An empty disk of N bytes instead of a view' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s O -d 'The format it would have: raw, qcow2 or qed' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s o -d 'Options of that format, as for create' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l json -d 'One JSON document with qemu-img\'s keys'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l force-share -d 'Read although a process may be writing; the result may be stale'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand measure" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s f -d 'The format: qcow2, qed or raw' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s b -d 'The image it is based on, as it is to be recorded (relative to IMAGE\'s folder)' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s F -d 'The format of BACKING' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s o -d 'Options of the format. qcow2: cluster_size, refcount_bits, compat (0.10, 1.1), extended_l2, compression_type (zlib, zstd), lazy_refcounts, preallocation (off, metadata, falloc, full); qed: cluster_size, table_size; raw: preallocation' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -l json -d 'One JSON document with qemu-img\'s keys, as of info'
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand create" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l shrink -d 'Make it shorter although what lies beyond the new end is lost'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand resize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l roll-back -d 'Undo it instead, as long as no view has begun to change'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s b -l base -d 'The layer below to merge into, with everything between; its parent by default' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l keep -d 'Keep TOP\'s file even when nothing needs it any more'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l remove -d 'Move TOP to the trash even when nothing is based on it'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l no-protect -d 'Let other views that read what changes change too; each is named and needs consent'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand commit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s b -l base -d 'The layer it is based on afterwards; without one it stands alone' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s b -l base -d 'The image it is based on afterwards' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s F -d 'The format of BASE, when it must not be taken from its content' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l none -d 'Let it stand alone'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s u -l unsafe -d 'Change the reference only: for a base that moved. What the image reads may change'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand rebase" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -s F -d 'The format of IMAGE, when it must not be taken from its content' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand overlay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l no-protect -d 'Let other views that read what changes change too; each is named and needs consent'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand revert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l to -d 'What it is to become: qcow2, qed or raw' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s o -d 'Options of the new format. qcow2: compat (0.10, 1.1), refcount_bits, cluster_size; qed: cluster_size, table_size. A qcow2 image keeps its cluster size' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s F -d 'The format of its backing file, when that is not recorded' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l in-place -d 'Rewrite the file itself (a copy is made by export)'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l no-compact -d 'Leave new metadata at the end of the file; as long as the job runs, all can be taken back then'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l out -d 'The new file; with --chain, the folder for all of them; with -O rbd-diff, - is standard output' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s O -d 'The format of what is made' -r -f -a "qcow2\t''
qed\t''
raw\t''
rbd-diff\t'The stream that `rbd import-diff` reads'"
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l since -d 'Only what differs from this view; needs -b, but for -O rbd-diff. With --chain, only the views after it' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s b -d 'The image that holds the view of --since: the backing file of the new one' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s F -d 'The format of OLDER, when it must not be taken from its content' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l vmstate -d 'Where the machine state goes that was saved with the snapshot' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l from-snap -d 'rbd-diff: what the target calls the snapshot that the delta goes on' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l to-snap -d 'rbd-diff: the snapshot that the target takes at the end; the name of the view\'s by default' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s o -d 'Options of the format, as of create' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l chain -d 'Every view of the image and of all that it is based on, as a linear chain'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s c -l compress -d 'Compress clusters (qcow2)'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l by-content -d 'Leave out what was written again with the same bytes: reads what may differ in both views'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l out -d 'The new image, a qcow2' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s o -d 'Options of the format, as of create' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s c -l compress -d 'Compress clusters (qcow2)'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l by-content -d 'Leave out what was written again with the same bytes: reads what may differ in both views'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -f -a "list" -d 'List the internal snapshots of an image'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -f -a "create" -d 'Record the active state of an image as a new snapshot'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -f -a "apply" -d 'Make the active state of an image what a snapshot holds'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -f -a "delete" -d 'Remove a snapshot'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and not __fish_seen_subcommand_from list create apply delete rename" -f -a "rename" -d 'Give a snapshot another name'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s f -d 'The format of the image, instead of looking at its first bytes' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l json -d 'A JSON array with qemu-img\'s keys'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -s f -d 'The format of the image; refused when its first bytes say something else' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand snapshot; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l delete -d 'What must go: a view, or an image with all its snapshots' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l keep-last -d 'Let only the newest N views stay of each line from a base to an image that nothing is based on' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l older-than -d 'Let only views stay that are younger than AGE: a number with m, h, d or w' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l pin -d 'A view that stays, whatever else is said' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l accept -d 'Consent to a kind of hazard by name; `cowherd help hazards` lists them' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l rate-limit -d 'Move at most N bytes of guest data a second' -r
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l verify -d 'Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing is emptied or goes to the trash before' -r -f -a "full\t'The content of every view that is made or kept'"
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t''
bar\t''
json\t''
none\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l dry-run -d 'Print the plan and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l json -d 'One JSON document: the plan with --dry-run, the report otherwise'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand cleanup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -f -a "list" -d 'List what is in the trash, and whether it can be brought back'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -f -a "restore" -d 'Put a file back where it was, as long as what it reads through is unchanged'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty" -f -a "empty" -d 'Delete what is in the trash, for good'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -l json -d 'One JSON document'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -l allow -d 'Also follow backing files that lie at or below PATH' -r -F
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -l dry-run -d 'Say what would be done and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -l json -d 'One JSON document'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -l dry-run -d 'Say what would be done and change nothing'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -s y -l yes -d 'Do not ask'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -l json -d 'One JSON document'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand trash; and __fish_seen_subcommand_from empty" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -l no-tui -d 'Only build it'
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c cowherd -n "__fish_cowherd_using_subcommand help" -l color -d 'Colours: when standard output is a terminal, always, or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c cowherd -n "__fish_cowherd_using_subcommand help" -l ascii -d 'Draw with plain ASCII characters'
complete -c cowherd -n "__fish_cowherd_using_subcommand help" -s q -l quiet -d 'Say nothing that was not asked for'
complete -c cowherd -n "__fish_cowherd_using_subcommand help" -s v -l verbose -d 'Say on standard error what is done, a line for each step'
complete -c cowherd -n "__fish_cowherd_using_subcommand help" -s h -l help -d 'Print help'
