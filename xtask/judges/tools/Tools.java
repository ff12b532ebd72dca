import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

/**
 * Apache Kafka's command line tools in one JVM. Each request on standard input names a class, its arguments and what it
 * finds on its standard input; it runs on a thread of its own with streams of its own, and the answer on standard output
 * has its exit code and what it wrote. Tools end with Kafka's Exit or with System.exit: the thread that calls it goes no
 * further, as if the process had ended there. The tools' own classes are loaded anew for each request, because some keep counts in static
 * fields.
 */
@SuppressWarnings("removal")
public class Tools {
    /** A tool that runs: what belongs to a process otherwise. */
    static final class Process {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        final ByteArrayOutputStream err = new ByteArrayOutputStream();
        final InputStream in;
        final CountDownLatch ended = new CountDownLatch(1);
        final AtomicInteger code = new AtomicInteger(Integer.MIN_VALUE);
        final List<Runnable> hooks = new ArrayList<>();

        Process(byte[] input) {
            in = new ByteArrayInputStream(input);
        }

        void end(int status) {
            if (code.compareAndSet(Integer.MIN_VALUE, status)) {
                runHooks();
                ended.countDown();
            }
        }

        void runHooks() {
            List<Runnable> now;
            synchronized (hooks) {
                now = new ArrayList<>(hooks);
                hooks.clear();
            }
            List<Thread> threads = new ArrayList<>();
            for (Runnable hook : now) {
                Thread thread = new Thread(hook);
                thread.setDaemon(true);
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                try {
                    thread.join(10_000);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }
    }

    static final InheritableThreadLocal<Process> CURRENT = new InheritableThreadLocal<>();

    /** Writes to the stream of the process that the calling thread belongs to. */
    static PrintStream routed(boolean error, PrintStream otherwise) {
        OutputStream router = new OutputStream() {
            private OutputStream stream() {
                Process process = CURRENT.get();
                if (process == null) {
                    return otherwise;
                }
                return error ? process.err : process.out;
            }

            @Override
            public void write(int b) throws IOException {
                stream().write(b);
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                stream().write(bytes, from, count);
            }

            @Override
            public void flush() throws IOException {
                stream().flush();
            }
        };
        return new PrintStream(router, true, StandardCharsets.UTF_8) {
            @Override
            public void close() {
                // A process closes its own; this one belongs to all of them.
                flush();
            }
        };
    }

    /** The tools' own classes: loaded from their jars by this loader, everything else by its parent. */
    static final class Fresh extends URLClassLoader {
        Fresh(URL[] jars, ClassLoader parent) {
            super(jars, parent);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                Class<?> known = findLoadedClass(name);
                if (known == null) {
                    try {
                        known = findClass(name);
                    } catch (ClassNotFoundException e) {
                        return super.loadClass(name, resolve);
                    }
                }
                return known;
            }
        }
    }

    static URL[] toolJars() throws IOException {
        List<URL> jars = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            String name = new File(entry).getName();
            if (name.matches("kafka-(tools|shell)-[0-9].*\\.jar")) {
                jars.add(new File(entry).toURI().toURL());
            }
        }
        if (jars.isEmpty()) {
            throw new IOException("no jar of tools on the class path");
        }
        return jars.toArray(new URL[0]);
    }

    static void execute(Process process, String className, String[] args, URL[] jars) {
        try {
            Fresh loader = new Fresh(jars, Tools.class.getClassLoader());
            Thread.currentThread().setContextClassLoader(loader);
            Class<?> tool = Class.forName(className, true, loader);
            tool.getMethod("main", String[].class).invoke(null, (Object) args);
            process.end(0);
        } catch (InvocationTargetException e) {
            System.err.print("Exception in thread \"main\" ");
            e.getCause().printStackTrace();
            process.end(1);
        } catch (Throwable e) {
            System.err.println("judge: " + className + " cannot be run: " + e);
            process.end(255);
        }
    }

    static byte[] bytes(DataInputStream in) throws IOException {
        return in.readNBytes(in.readInt());
    }

    public static void main(String[] arguments) throws Exception {
        DataInputStream requests = new DataInputStream(new FileInputStream(FileDescriptor.in));
        DataOutputStream answers = new DataOutputStream(new FileOutputStream(FileDescriptor.out));
        PrintStream log = System.err;
        URL[] jars = toolJars();
        // The log binds itself to the standard error that it finds first: the judge's, not a tool's.
        LoggerFactory.getLogger(Tools.class).isWarnEnabled();
        System.setOut(routed(false, log));
        System.setErr(routed(true, log));
        System.setIn(new InputStream() {
            @Override
            public int read() throws IOException {
                Process process = CURRENT.get();
                return process == null ? -1 : process.in.read();
            }

            @Override
            public int read(byte[] into, int from, int count) throws IOException {
                Process process = CURRENT.get();
                return process == null ? -1 : process.in.read(into, from, count);
            }
        });
        Exit.Procedure stop = (status, message) -> {
            Process process = CURRENT.get();
            if (process != null) {
                process.end(status);
            }
            // Nothing after an exit happens.
            while (true) {
                try {
                    new CountDownLatch(1).await();
                } catch (InterruptedException e) {
                    // An exit cannot be interrupted.
                }
            }
        };
        // argparse4j and some tools end the virtual machine themselves.
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkExit(int status) {
                if (CURRENT.get() != null) {
                    stop.execute(status, null);
                }
            }

            @Override
            public void checkPermission(Permission permission) {
                // Everything else is allowed.
            }

            @Override
            public void checkPermission(Permission permission, Object context) {
                // Everything else is allowed.
            }
        });
        Exit.setExitProcedure(stop);
        Exit.setHaltProcedure(stop);
        Exit.setShutdownHookAdder((name, hook) -> {
            Process process = CURRENT.get();
            if (process != null) {
                synchronized (process.hooks) {
                    process.hooks.add(hook);
                }
            }
        });
        while (true) {
            int id;
            try {
                id = requests.readInt();
            } catch (EOFException e) {
                Runtime.getRuntime().halt(0);
                return;
            }
            String className = new String(bytes(requests), StandardCharsets.UTF_8);
            int limit = requests.readInt();
            int interrupt = requests.readInt();
            String[] args = new String[requests.readInt()];
            for (int i = 0; i < args.length; i++) {
                args[i] = new String(bytes(requests), StandardCharsets.UTF_8);
            }
            Process process = new Process(bytes(requests));
            Thread keeper = new Thread(() -> {
                CURRENT.set(process);
                Thread tool = new Thread(() -> execute(process, className, args, jars), "main");
                tool.setDaemon(true);
                tool.start();
                try {
                    if (interrupt > 0 && !process.ended.await(interrupt, TimeUnit.MILLISECONDS)) {
                        // As the virtual machine does on SIGINT: its hooks run, the code is 130.
                        process.end(130);
                    }
                    if (!process.ended.await(limit, TimeUnit.MILLISECONDS)) {
                        process.code.compareAndSet(Integer.MIN_VALUE, -1);
                    }
                    synchronized (answers) {
                        byte[] out = process.out.toByteArray();
                        byte[] err = process.err.toByteArray();
                        answers.writeInt(id);
                        answers.writeInt(process.code.get());
                        answers.writeInt(out.length);
                        answers.write(out);
                        answers.writeInt(err.length);
                        answers.write(err);
                        answers.flush();
                    }
                } catch (Exception e) {
                    log.println("judge: " + e);
                    Runtime.getRuntime().halt(2);
                }
            });
            keeper.setDaemon(true);
            keeper.start();
        }
    }
}
