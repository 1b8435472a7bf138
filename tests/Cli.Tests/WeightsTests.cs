using System.Net;
using System.Security.Cryptography;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.WeightConverter;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>Fetching Inception's weights, from a server in this process that has a file of hash weights.</summary>
public sealed class WeightsTests
{
    private TemporaryFolder _files = null!;
    private TemporaryFolder _cache = null!;
    private byte[] _published = [];

    private string Destination => _cache["inception.safetensors"];

    [OneTimeSetUp]
    public void MakePublishedFile()
    {
        _files = new TemporaryFolder();
        InceptionWeights.Hash().Write(_files["hash.safetensors"]);
        Conversion.Run(new ConversionRequest(_files["hash.safetensors"], _files["published.pth"]) { Legacy = true });
        _published = File.ReadAllBytes(_files["published.pth"]);
    }

    [OneTimeTearDown]
    public void DeletePublishedFile() => _files.Dispose();

    [SetUp]
    public void MakeCache() => _cache = new TemporaryFolder();

    [TearDown]
    public void DeleteCache() => _cache.Dispose();

    [Test]
    public void Fetch_downloads_checks_and_converts()
    {
        using var server = new FileServer(_published);
        var run = Fetch(server.Published());
        Assert.That(run.Code, Is.Zero, run.Error);
        ExpectWeights();
        Assert.That(run.Out, Does.Contain(InceptionWeights.Hash().Id));

        var again = Fetch(server.Published());
        Assert.That((again.Code, server.Ranges.Count), Is.EqualTo((0, 1)), "what is there is not fetched again");
        Assert.That(again.Out, Does.Contain("there already"));
    }

    [Test]
    public void Fetch_goes_on_where_the_connection_broke([Values] bool serverResumes)
    {
        using var server = new FileServer(_published) { BreakAfter = 30_000_000, Resumes = serverResumes };
        Expect(Fetch(server.Published()), ExitCode.Input, "again");
        Assert.That(_cache.Names, Is.EqualTo(new[] { "inception.pth.download" }));
        server.BreakAfter = int.MaxValue;
        var run = Fetch(server.Published());
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(server.Ranges[0], Is.Null);
        Assert.That(server.Ranges[1], Does.StartWith("bytes="));
        ExpectWeights();
    }

    [Test]
    public void Download_keeps_what_it_has_when_it_is_cancelled()
    {
        using var server = new FileServer(_published);
        using var cancel = new CancellationTokenSource();
        var progress = new SynchronousProgress<long>(done =>
        {
            if (done > 10_000_000)
                cancel.Cancel();
        });
        Assert.That(async () => await server.Published().DownloadAsync(_cache["part"], progress, cancel.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(new FileInfo(_cache["part"]).Length, Is.GreaterThan(10_000_000).And.LessThan(_published.Length));
    }

    [Test]
    public void Fetch_refuses_another_file_and_keeps_nothing()
    {
        byte[] other = [.. _published];
        other[^1] ^= 1;
        using var server = new FileServer(other);
        Expect(Fetch(server.Published(_published)), ExitCode.Input, "SHA-256", "--from");
        Assert.That(_cache.Names, Is.Empty);
    }

    [Test]
    public void Fetch_refuses_another_length_before_it_downloads()
    {
        using var server = new FileServer(_published[..1000]);
        Expect(Fetch(server.Published(_published)), ExitCode.Input, "1000", "--from");
    }

    [Test]
    public void Fetch_names_the_remedy_when_the_server_does_not_answer()
    {
        using var server = new FileServer(_published);
        var published = server.Published();
        server.Dispose();
        Expect(Fetch(published), ExitCode.Input, published.Url.ToString(), "by hand", "--from");
        Assert.That(_cache.Names, Is.Empty);
    }

    [Test]
    public void Fetch_takes_a_file_that_was_downloaded_already()
    {
        using var server = new FileServer(_published);
        var run = Fetch(server.Published(), from: _files["published.pth"]);
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(server.Ranges, Is.Empty);
        Assert.That(File.Exists(_files["published.pth"]), "a user's file stays");
        ExpectWeights();
    }

    [Test]
    public void Fetch_takes_a_file_of_another_hash_only_when_told()
    {
        using var server = new FileServer(_published);
        string other = _files["hash.safetensors"];
        Expect(Fetch(server.Published(), from: other), ExitCode.Input, "hash.safetensors", "--accept-any-hash");
        Assert.That(_cache.Names, Is.Empty);
        Assert.That(Fetch(server.Published(), from: other, anyHash: true).Code, Is.Zero);
        ExpectWeights();
    }

    [Test]
    public void Fetch_from_a_file_that_does_not_fit_leaves_the_weights_that_do()
    {
        using var server = new FileServer(_published);
        Assert.That(Fetch(server.Published(), from: _files["published.pth"]).Code, Is.Zero);
        File.WriteAllBytes(_files["cut.pth"], _published[..50_000_000]);
        Expect(Fetch(server.Published(), from: _files["cut.pth"], anyHash: true, again: true), ExitCode.Input, "cut.pth", "cut short");
        ExpectWeights();
    }

    [Test]
    public void Fetch_needs_a_file_for_any_hash()
        => Expect(ToolRun.Of("weights", "fetch", "--accept-any-hash"), ExitCode.Usage, "--from");

    [Test]
    public void Published_file_is_pytorch_fids()
    {
        var published = PublishedWeights.Inception;
        Assert.That(published.Url.ToString(), Does.EndWith($"/pt_inception-2015-12-05-{published.HashPrefix}.pth"));
        Assert.That(published.Length, Is.EqualTo(95_628_359));
    }

    private ToolRun Fetch(PublishedWeights published, string? from = null, bool anyHash = false, bool again = false)
    {
        using StringWriter output = new(), error = new();
        var tool = new ToolContext(output, TextWriter.Synchronized(error));
        int code;
        try
        {
            code = WeightsCommand.FetchAsync(tool, published, Destination, from, anyHash, again).GetAwaiter().GetResult();
        }
        catch (Exception exception)
        {
            code = FailureReport.Write(DiffusionTool.Name, exception, error, verbose: false);
        }
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    private void ExpectWeights()
    {
        Assert.That(InceptionWeights.Read(Destination).Id, Is.EqualTo(InceptionWeights.Hash().Id));
        Assert.That(_cache.Names, Is.EqualTo(new[] { "inception.safetensors" }), "nothing else is left");
    }

    private static void Expect(ToolRun result, int code, params string[] mentioned)
    {
        string last = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.EqualTo(code), result.Error);
            Assert.That(last, Does.StartWith("diffusion: "));
            foreach (string text in mentioned)
                Assert.That(last, Does.Contain(text));
        });
    }

    /// <summary>Serves one file; can break the connection and can ignore ranges.</summary>
    private sealed class FileServer : IDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly byte[] _file;
        private readonly Uri _url;

        public FileServer(byte[] file)
        {
            _file = file;
            // Port 0 is not known to HttpListener: a free one is found by asking for it.
            using (var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
            {
                probe.Start();
                _url = new Uri($"http://localhost:{((IPEndPoint)probe.LocalEndpoint).Port}/");
            }
            _listener.Prefixes.Add(_url.ToString());
            _listener.Start();
            _ = ServeAsync();
        }

        public int BreakAfter { get; set; } = int.MaxValue;

        public bool Resumes { get; init; } = true;

        /// <summary>The range that each request asked for.</summary>
        public List<string?> Ranges { get; } = [];

        public PublishedWeights Published(byte[]? file = null)
        {
            file ??= _file;
            return new PublishedWeights(new Uri(_url, "published.pth"), file.Length, Convert.ToHexStringLower(SHA256.HashData(file))[..8]);
        }

        public void Dispose() => _listener.Close();

        private async Task ServeAsync()
        {
            while (_listener.IsListening)
            {
                try
                {
                    Answer(await _listener.GetContextAsync());
                }
                catch (Exception error) when (error is HttpListenerException or ObjectDisposedException)
                {
                    // The listener was closed, or the client went away.
                }
            }
        }

        private void Answer(HttpListenerContext context)
        {
            string? range = context.Request.Headers["Range"];
            Ranges.Add(range);
            int start = Resumes && range is not null
                ? int.Parse(range["bytes=".Length..^1], System.Globalization.CultureInfo.InvariantCulture) : 0;
            if (start > 0)
            {
                context.Response.StatusCode = 206;
                context.Response.Headers["Content-Range"] = $"bytes {start}-{_file.Length - 1}/{_file.Length}";
            }
            context.Response.ContentLength64 = _file.Length - start;
            int end = Math.Min(_file.Length, BreakAfter);
            context.Response.OutputStream.Write(_file.AsSpan(start, end - start));
            if (end < _file.Length)
                context.Response.Abort();
            else
                context.Response.Close();
        }
    }
}
