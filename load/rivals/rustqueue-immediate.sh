# RustQueue with an fsync for each write.

source load/rivals/rustqueue.sh
fsync=immediate
title='RustQueue, immediate'
durable='fsync for each job'
